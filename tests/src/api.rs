//! The coordinator's HTTP API as tests use it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use atelier_proto::{
    RequestId, Sha256,
    http::{RequestState, RequestView, SubmitRequest, WorkerView},
    trace::Trace,
};
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

/// A client of one coordinator.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    client: Client,
    /// For what goes on for as long as there is something to tell.
    streams: Client,
}

/// A request with everything at its default; tests set what they are about.
pub fn prompt(text: &str) -> SubmitRequest {
    SubmitRequest {
        prompt: text.to_owned(),
        seed: Some(7),
        think: Default::default(),
        think_tokens: None,
        priority: Default::default(),
        steps: None,
        size: None,
        max_rounds: None,
        references: Vec::new(),
        candidates: None,
        max_time_s: None,
        max_cost_s: None,
        plan: None,
        plan_only: false,
        webhook: None,
        cache: None,
    }
}

impl Api {
    /// A client of the coordinator at `base`, for example `http://127.0.0.1:8080`, with an API key unless the test is about having none.
    pub fn new(base: &str, key: Option<&str>) -> Result<Self> {
        // A coordinator that was killed leaves dead connections; a test must not wait for them.
        Self::patient(base, key, Duration::from_secs(30))
    }

    /// The same, that waits so long for an answer, or for the next byte of an event stream.
    pub fn patient(base: &str, key: Option<&str>, patience: Duration) -> Result<Self> {
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let value = HeaderValue::from_str(&format!("Bearer {key}"))?;
            headers.insert(AUTHORIZATION, value);
        }
        let build = || {
            Client::builder()
                .no_proxy()
                .default_headers(headers.clone())
                .connect_timeout(patience)
        };
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            client: build().timeout(patience).build()?,
            // A comment comes every ten seconds when nothing else does.
            streams: build()
                .read_timeout(patience + Duration::from_secs(10))
                .build()?,
        })
    }

    /// The same coordinator with another key, or with none.
    pub fn with_key(&self, key: Option<&str>) -> Result<Self> {
        Self::new(&self.base, key)
    }

    /// What it sends with, its key included.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where it is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A call of a path, to be given headers and a body and sent.
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// GET of a path, whatever the answer.
    pub async fn get(&self, path: &str) -> Result<Response> {
        Ok(self
            .client
            .get(format!("{}{path}", self.base))
            .send()
            .await?)
    }

    /// The events of a request, as they come.
    pub async fn events(&self, id: RequestId) -> Result<Response> {
        let url = format!("{}/v1/requests/{id}/events", self.base);
        Ok(self.streams.get(url).send().await?)
    }

    /// POST of a JSON body, whatever the answer; with an idempotency key if given.
    pub async fn post(
        &self,
        path: &str,
        body: &impl serde::Serialize,
        key: Option<&str>,
    ) -> Result<Response> {
        let mut request = self.client.post(format!("{}{path}", self.base)).json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Ok(request.send().await?)
    }

    /// Submits a request that must be accepted.
    pub async fn submit(&self, request: &SubmitRequest) -> Result<RequestView> {
        accepted(self.post("/v1/requests", request, None).await?).await
    }

    /// Where a request stands.
    pub async fn view(&self, id: RequestId) -> Result<RequestView> {
        accepted(self.get(&format!("/v1/requests/{id}")).await?).await
    }

    /// Cancels a request.
    pub async fn cancel(&self, id: RequestId) -> Result<RequestView> {
        let path = format!("/v1/requests/{id}/cancel");
        accepted(self.post(&path, &serde_json::json!({}), None).await?).await
    }

    /// The trace of a request that ended.
    pub async fn trace(&self, id: RequestId) -> Result<Trace> {
        accepted(self.get(&format!("/v1/requests/{id}/trace")).await?).await
    }

    /// The picture of a request, PNG.
    pub async fn picture(&self, id: RequestId) -> Result<Vec<u8>> {
        let answer = self.get(&format!("/v1/requests/{id}/image")).await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        if status != StatusCode::OK {
            bail!("GET image: {status}: {}", String::from_utf8_lossy(&bytes));
        }
        Ok(bytes.into())
    }

    /// The workers that the coordinator knows.
    pub async fn workers(&self) -> Result<Vec<WorkerView>> {
        accepted(self.get("/v1/workers").await?).await
    }

    /// Asks until `wanted` holds; what goes wrong on the way (a coordinator that is down) is asked again.
    pub async fn until(
        &self,
        id: RequestId,
        limit: Duration,
        wanted: impl Fn(&RequestView) -> bool,
    ) -> Result<RequestView> {
        let deadline = Instant::now() + limit;
        loop {
            let view = self.view(id).await;
            match view {
                Ok(view) if wanted(&view) => return Ok(view),
                Ok(view) if Instant::now() > deadline => {
                    bail!("after {limit:?} it still is {view:#?}")
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Waits for the request's end.
    pub async fn ended(&self, id: RequestId, limit: Duration) -> Result<RequestView> {
        self.until(id, limit, |view| view.state.is_terminal()).await
    }

    /// Waits for the request's end, which must be a picture.
    pub async fn succeeded(&self, id: RequestId, limit: Duration) -> Result<RequestView> {
        let view = self.ended(id, limit).await?;
        if view.state != RequestState::Succeeded {
            bail!(
                "it ended {} instead of with a picture: {view:#?}",
                view.state.as_str()
            );
        }
        Ok(view)
    }
}

/// The body of a 2xx answer; anything else is an error that shows the body.
async fn accepted<T: serde::de::DeserializeOwned>(answer: Response) -> Result<T> {
    let (status, url) = (answer.status(), answer.url().clone());
    let body = answer.text().await?;
    if !status.is_success() {
        bail!("{url}: {status}: {body}");
    }
    serde_json::from_str(&body).with_context(|| format!("{url}: {body}"))
}

/// The name that an artifact with these bytes has.
pub fn sha256(bytes: &[u8]) -> Sha256 {
    use sha2::Digest;
    Sha256(sha2::Sha256::digest(bytes).into())
}
