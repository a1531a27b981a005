//! The coordinator's HTTP API.

mod events;
mod place;

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use atelier_proto::{
    RequestId,
    http::{ErrorBody, RequestList, RequestView, SubmitRequest, WorkerView},
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

pub use events::Events;
pub use place::{DataArgs, Place, ServerArgs};

use crate::exit::{Unreachable, Usage};

/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 256 << 20;
/// How often a submit is sent again to a farm that says that it is busy.
const SUBMIT_RETRIES: u32 = 10;

/// A client of one farm.
#[derive(Clone, Debug)]
pub struct Client {
    place: Place,
    http: reqwest::Client,
}

/// The farm said no.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// HTTP status.
    pub status: StatusCode,
    /// What it said.
    pub message: String,
}

/// Whether asking again in a moment may help.
fn busy(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Refused>()
        .is_some_and(|refused| refused.status == StatusCode::SERVICE_UNAVAILABLE)
}

impl Client {
    /// A client of the farm at `place`; nothing is sent yet.
    pub fn new(place: Place) -> Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // Between two pieces of an answer; streams of events send a sign of life more often.
            .read_timeout(Duration::from_secs(30))
            .user_agent(concat!("atelier/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { place, http })
    }

    /// Submits a request. `key` makes a repeated call the same request, so that a farm that is busy is asked again.
    pub async fn submit(&self, body: &SubmitRequest, key: &str) -> Result<RequestView> {
        for _ in 0..SUBMIT_RETRIES {
            match self.submit_once(body, key).await {
                Err(error) if busy(&error) => tokio::time::sleep(Duration::from_millis(500)).await,
                result => return result,
            }
        }
        self.submit_once(body, key).await
    }

    async fn submit_once(&self, body: &SubmitRequest, key: &str) -> Result<RequestView> {
        let request = self
            .http
            .post(self.url("/v1/requests"))
            .header("idempotency-key", key);
        self.json(request.json(body)).await
    }

    /// Where a request stands.
    pub async fn view(&self, id: RequestId) -> Result<RequestView> {
        self.json(self.http.get(self.url(&format!("/v1/requests/{id}"))))
            .await
    }

    /// The newest requests.
    pub async fn list(&self, limit: u32) -> Result<RequestList> {
        let request = self
            .http
            .get(self.url("/v1/requests"))
            .query(&[("limit", limit)]);
        self.json(request).await
    }

    /// Cancels a request.
    pub async fn cancel(&self, id: RequestId) -> Result<RequestView> {
        self.json(
            self.http
                .post(self.url(&format!("/v1/requests/{id}/cancel"))),
        )
        .await
    }

    /// The workers that the farm knows.
    pub async fn workers(&self) -> Result<Vec<WorkerView>> {
        self.json(self.http.get(self.url("/v1/workers"))).await
    }

    /// The picture of a request, PNG.
    pub async fn image(&self, id: RequestId) -> Result<Vec<u8>> {
        self.bytes(self.http.get(self.url(&format!("/v1/requests/{id}/image"))))
            .await
    }

    /// The trace of a request, JSON.
    pub async fn trace(&self, id: RequestId) -> Result<Vec<u8>> {
        self.bytes(self.http.get(self.url(&format!("/v1/requests/{id}/trace"))))
            .await
    }

    /// Whether the farm says that it is ready, and what it says.
    pub async fn readiness(&self) -> Result<(bool, String)> {
        let sent = self.http.get(self.url("/readyz")).send().await;
        let answer = sent.map_err(|error| self.unreachable(&error))?;
        let ready = answer.status().is_success();
        Ok((ready, answer.text().await.unwrap_or_default()))
    }

    /// Opens the stream of events of a request.
    pub async fn events(&self, id: RequestId) -> Result<Events> {
        let request = self
            .http
            .get(self.url(&format!("/v1/requests/{id}/events")));
        let answer = self
            .send(request.header("accept", "text/event-stream"))
            .await?;
        Ok(Events::of(answer))
    }

    /// The id that a user named: a whole one, or `last`.
    pub async fn resolve(&self, text: &str) -> Result<RequestId> {
        if text != "last" {
            return text.parse().map_err(|_| {
                Usage(format!(
                    "{text:?} is not the id of a request; 'atelier status' lists them"
                ))
                .into()
            });
        }
        let newest = self.list(1).await?.requests.into_iter().next();
        newest
            .map(|request| request.id)
            .context("this farm has no requests yet")
    }

    /// Where the farm is.
    pub fn server(&self) -> &str {
        &self.place.server
    }

    /// The error for a farm that does not answer.
    pub fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(deeper) = source {
            reason = deeper.to_string();
            source = deeper.source();
        }
        let unreachable = Unreachable {
            server: self.place.server.clone(),
            reason,
            hint: self.place.hint.clone(),
        };
        unreachable.into()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.place.server)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let answer = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.unwrap_or_default();
        let message = match serde_json::from_str::<ErrorBody>(&text) {
            Ok(body) => body.error.message,
            Err(_) => format!("{status}: {}", text.chars().take(500).collect::<String>()),
        };
        Err(Refused { status, message }.into())
    }

    async fn bytes(&self, request: RequestBuilder) -> Result<Vec<u8>> {
        let mut answer = self.send(request).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST_ANSWER {
                return Err(anyhow!("the answer is longer than {LONGEST_ANSWER} bytes"));
            }
        }
        Ok(bytes)
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let bytes = self.bytes(request).await?;
        serde_json::from_slice(&bytes).with_context(|| {
            format!(
                "{} does not answer as a farm of this version does",
                self.place.server
            )
        })
    }
}
