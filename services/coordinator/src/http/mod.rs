//! The HTTP API, all of it on this screen. One endpoint a file. Everything under `/v1` asks for an API key and shows only what is its tenant's.
//! The farm's page for browsers is [`page`], with paths of its own.

mod caller;
mod error;
pub mod file;
mod health;
pub mod openai;
mod openapi;
pub mod page;
pub mod requests;
pub mod session;
pub mod signed;
mod unread;
mod webhooks;
mod workers;

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use atelier_platform::telemetry::Metrics as Registry;
use atelier_proto::{
    TraceContext,
    http::{MAX_REFERENCE_BYTES, MAX_REFERENCES},
};
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, MatchedPath, State},
    http::{HeaderMap, HeaderName, Method, Request},
    middleware::{self, Next},
    response::Response,
    routing::{MethodRouter, get, post},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::{timeout::RequestBodyTimeoutLayer, trace::TraceLayer};

use self::caller::KnownKeys;
use crate::farm::{Arrival, Farm, Turns};

/// Longest body of a submit, in bytes: every picture as base64, and its prompt.
const MAX_BODY_BYTES: usize = MAX_REFERENCES * MAX_REFERENCE_BYTES / 3 * 4 + (1 << 20);
/// Memory for bodies of submits that are being read and decoded, in KiB.
const BODY_BUDGET_KIB: usize = 512 << 10;
/// Drawn pictures that are written in another format at once.
const MOST_CONVERTING: usize = 4;
/// A caller may be silent for this long in the middle of a body.
const BODY_SILENCE: Duration = Duration::from_secs(30);

/// W3C trace context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What every handler may use. Clones, which every call makes several of, share it.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

/// What clones of an [`Api`] share.
pub struct Shared {
    farm: Farm,
    registry: Registry,
    keys: KnownKeys,
    /// Ends event streams when the coordinator does.
    stop: CancellationToken,
    /// What the command line says of this API.
    settings: Settings,
    /// In KiB; what is taken of it is being read and decoded.
    body_budget: Arc<Semaphore>,
    /// Turns at writing drawn pictures in another format.
    converting: Turns,
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What the command line says of this API.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Longest time that a call waits for its pictures.
    pub longest_wait: Duration,
}

/// Every path with its methods; what they take and answer is described in [`openapi`].
fn routes() -> Vec<(&'static str, MethodRouter<Api>)> {
    vec![
        (
            "/v1/requests",
            post(requests::submit::handler)
                .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
                .get(requests::list::handler),
        ),
        (
            "/v1/requests/{id}",
            get(requests::show::handler).delete(requests::cancel::handler),
        ),
        ("/v1/requests/{id}/cancel", post(requests::cancel::handler)),
        ("/v1/requests/{id}/retry", post(requests::retry::handler)),
        ("/v1/requests/{id}/image", get(requests::image::handler)),
        ("/v1/requests/{id}/trace", get(requests::trace::handler)),
        (
            "/v1/requests/{id}/artifacts/{sha256}",
            get(requests::artifact::handler),
        ),
        ("/v1/requests/{id}/events", get(requests::events::handler)),
        ("/v1/workers", get(workers::handler)),
        (
            "/v1/images/generations",
            post(openai::generations::handler).layer(DefaultBodyLimit::max(openai::MAX_JSON_BYTES)),
        ),
        (
            "/v1/images/edits",
            post(openai::edits::handler).layer(DefaultBodyLimit::max(openai::MAX_FORM_BYTES)),
        ),
        ("/v1/models", get(openai::models::list)),
        ("/v1/models/{model}", get(openai::models::show)),
        ("/v1/webhooks", get(webhooks::list)),
        ("/v1/webhooks/secret", get(webhooks::secret)),
        ("/v1/files/{token}", get(signed::handler)),
        ("/healthz", get(health::live)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(health::metrics)),
        ("/openapi.json", get(openapi::handler)),
    ]
}

/// The API of a coordinator; `stop` ends what would go on for ever.
pub fn router(
    farm: Farm,
    registry: Registry,
    settings: Settings,
    stop: CancellationToken,
) -> Router {
    let api = Api(Arc::new(Shared {
        farm,
        registry,
        keys: KnownKeys::default(),
        settings,
        stop,
        body_budget: Arc::new(Semaphore::new(BODY_BUDGET_KIB)),
        converting: Turns::new(MOST_CONVERTING),
    }));
    let router = routes()
        .into_iter()
        .chain(page::routes())
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods)
        });
    router
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(RequestBodyTimeoutLayer::new(BODY_SILENCE))
        .layer(middleware::from_fn(unread::forget))
        .layer(middleware::from_fn_with_state(api.clone(), time))
        // A failure is logged where it is handled, with its cause.
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_failure(()),
        )
        .with_state(api)
}

/// Measures how long it takes until the head of the answer; what follows may be an endless stream. Paths are those of [`routes`], so
/// that callers cannot make new ones.
async fn time(State(api): State<Api>, call: Request<Body>, next: Next) -> Response {
    let started = Instant::now();
    let method = match *call.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    let matched = call.extensions().get::<MatchedPath>().cloned();
    let path = matched.as_ref().map_or("other", MatchedPath::as_str);
    let arrival = Arrival::now(method, path);
    let answer = arrival.answer(next.run(call)).await;
    let outcome = match answer.status().as_u16() {
        100..=399 => "ok",
        400..=499 => "refused",
        _ => "failed",
    };
    api.farm
        .metrics
        .http_seconds
        .with_label_values(&[method, path, outcome])
        .observe(started.elapsed().as_secs_f64());
    answer
}

/// The span of a call: in the caller's trace, if it names one, or in that of the request which a submit makes.
fn span<B>(call: &Request<B>) -> tracing::Span {
    let brought =
        trace_context(call.headers()).map(|brought| tracing::field::display(brought.trace_id()));
    tracing::info_span!("http", method = %call.method(), path = call.uri().path(), trace = brought)
}

/// The caller's position in its trace; one that cannot be read is as if there were none.
fn trace_context(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get(TRACEPARENT)?.to_str().ok()?.parse().ok()
}
