//! The coordinator's HTTP API.

pub mod events;
mod find;
mod key;
mod place;
pub mod profile;
mod refused;

use std::{future::Future, time::Duration};

use anyhow::{Context, Result, anyhow};
use atelier_proto::{
    RequestId, Sha256,
    http::{RequestList, RequestState, RequestView, SubmitRequest, WorkerView},
};
use reqwest::{RequestBuilder, Response, header};
use serde::de::DeserializeOwned;

pub use events::Events;
pub use key::ApiKey;
pub use place::{DataArgs, FarmArgs, Place};
pub use profile::Defaults;
pub use refused::Refused;

use crate::exit::Unreachable;

/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 256 << 20;
/// The header that makes two calls the same request.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How often a submit is sent again to a farm that says that it cannot just now.
const SUBMIT_RETRIES: u32 = 20;
/// Pause before that, unless the farm says how long.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest pause that somebody at a terminal should have to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Most requests on one page.
pub const LONGEST_PAGE: u32 = 500;

/// A client of one farm.
#[derive(Clone, Debug)]
pub struct Client {
    place: Place,
    http: reqwest::Client,
}

/// Which requests a list is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Only those in this state.
    pub state: Option<RequestState>,
    /// Only those before this one.
    pub before: Option<RequestId>,
    /// At most so many, [`LONGEST_PAGE`] at most.
    pub limit: u32,
}

impl Client {
    /// A client of the farm at `place`; nothing is sent yet.
    pub fn new(place: Place) -> Result<Self> {
        let mut headers = header::HeaderMap::new();
        if let Some(key) = &place.key {
            headers.insert(header::AUTHORIZATION, key.header());
        }
        let mut builder = reqwest::Client::builder();
        if place.is_on_this_machine() {
            // A proxy would look on its own.
            builder = builder.no_proxy();
        }
        let http = builder
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(5))
            // Between two pieces of an answer; streams of events send a sign of life more often.
            .read_timeout(Duration::from_secs(30))
            .user_agent(concat!("atelier/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { place, http })
    }

    /// Submits a request. `key` makes a repeated call the same request, so that a farm that is busy is asked again.
    pub async fn submit(&self, body: &SubmitRequest, key: &str) -> Result<RequestView> {
        again_while_busy(|| self.submit_once(body, key)).await
    }

    /// Submits a request and takes the farm's first answer.
    pub async fn submit_once(&self, body: &SubmitRequest, key: &str) -> Result<RequestView> {
        let request = self.http.post(self.url("/v1/requests"));
        self.json(request.header(IDEMPOTENCY_KEY, key).json(body))
            .await
    }

    /// Makes a new request from one that failed or was canceled; `key` as for a submit.
    pub async fn retry(&self, id: RequestId, key: &str) -> Result<RequestView> {
        again_while_busy(|| self.retry_once(id, key)).await
    }

    /// The same, taking the farm's first answer.
    pub async fn retry_once(&self, id: RequestId, key: &str) -> Result<RequestView> {
        let path = format!("/v1/requests/{id}/retry");
        let request = self.http.post(self.url(&path));
        self.json(request.header(IDEMPOTENCY_KEY, key)).await
    }

    /// Where a request stands.
    pub async fn view(&self, id: RequestId) -> Result<RequestView> {
        self.json(self.http.get(self.url(&format!("/v1/requests/{id}"))))
            .await
    }

    /// A page of requests, newest first.
    pub async fn list(&self, wanted: Wanted) -> Result<RequestList> {
        let mut request = self
            .http
            .get(self.url("/v1/requests"))
            .query(&[("limit", wanted.limit)]);
        if let Some(state) = wanted.state {
            request = request.query(&[("state", state.as_str())]);
        }
        if let Some(before) = wanted.before {
            request = request.query(&[("before", before.to_string())]);
        }
        self.json(request).await
    }

    /// Cancels a request.
    pub async fn cancel(&self, id: RequestId) -> Result<RequestView> {
        let path = format!("/v1/requests/{id}/cancel");
        self.json(self.http.post(self.url(&path))).await
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

    /// The same as a copy to keep, which says what request it is of.
    pub async fn image_to_keep(&self, id: RequestId) -> Result<Vec<u8>> {
        let path = format!("/v1/requests/{id}/image?traced=1");
        self.bytes(self.http.get(self.url(&path))).await
    }

    /// The trace of a request, JSON.
    pub async fn trace(&self, id: RequestId) -> Result<Vec<u8>> {
        self.bytes(self.http.get(self.url(&format!("/v1/requests/{id}/trace"))))
            .await
    }

    /// A file that a request names, by its digest.
    pub async fn artifact(&self, id: RequestId, sha256: Sha256) -> Result<Vec<u8>> {
        let path = format!("/v1/requests/{id}/artifacts/{sha256}");
        self.bytes(self.http.get(self.url(&path))).await
    }

    /// Whether the farm says that it is ready, and what it says.
    pub async fn readiness(&self) -> Result<(bool, String)> {
        let sent = self.http.get(self.url("/readyz")).send().await;
        let answer = sent.map_err(|error| self.unreachable(&error))?;
        let ready = answer.status().is_success();
        Ok((ready, answer.text().await.unwrap_or_default()))
    }

    /// What one coordinator counted, as Prometheus text.
    pub async fn metrics(&self) -> Result<String> {
        let bytes = self.bytes(self.http.get(self.url("/metrics"))).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Opens the stream of events of a request.
    pub async fn events(&self, id: RequestId) -> Result<Events> {
        let path = format!("/v1/requests/{id}/events");
        let request = self.http.get(self.url(&path));
        let answer = self
            .send(request.header(header::ACCEPT, "text/event-stream"))
            .await?;
        Ok(Events::of(answer))
    }

    /// Where the farm is and who asks.
    pub fn place(&self) -> &Place {
        &self.place
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(deeper) = source {
            reason = deeper.to_string();
            source = deeper.source();
        }
        let unreachable = Unreachable {
            url: self.place.url.clone(),
            reason,
            hint: self.place.hint.clone(),
            reached: !error.is_connect() && !error.is_timeout(),
        };
        unreachable.into()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.place.url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let answer = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let source = self.place.key.as_ref().map(|key| key.source.as_str());
        Err(Refused::read(answer).await.advise(source).into())
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
                self.place.url
            )
        })
    }
}

/// Sends a submit again to a farm that says that it cannot just now, or that went away before it answered. One that was
/// never reached is none: nobody should have to wait for that.
async fn again_while_busy<F: Future<Output = Result<RequestView>>>(
    send: impl Fn() -> F,
) -> Result<RequestView> {
    let mut reached = false;
    for _ in 0..SUBMIT_RETRIES {
        let error = match send().await {
            Ok(view) => return Ok(view),
            Err(error) => error,
        };
        let pause = match error.downcast_ref::<Unreachable>() {
            Some(away) => {
                reached |= away.reached;
                reached.then_some(PAUSE)
            }
            None => pause(&error).inspect(|_| reached = true),
        };
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
    }
    send().await
}

/// How long to wait until what was refused is sent again; none if that will not help, or not soon.
fn pause(error: &anyhow::Error) -> Option<Duration> {
    let refused = error.downcast_ref::<Refused>()?;
    let pause = refused.retry_after.unwrap_or(PAUSE);
    (refused.is_passing() && pause <= LONGEST_PAUSE).then_some(pause.max(PAUSE))
}

/// Asks again for a while when the farm is away: it may restart just now.
pub async fn patiently<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<T> {
    for _ in 0..20 {
        match ask().await {
            Err(error) if is_passing(&error) => tokio::time::sleep(PAUSE).await,
            result => return result,
        }
    }
    ask().await
}

/// Whether the farm, or the way to it, may be better in a moment.
pub fn is_passing(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<Refused>() {
        Some(refused) => refused.is_passing(),
        None => error.is::<Unreachable>(),
    }
}
