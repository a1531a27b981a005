//! Whether the process lives, whether it can work, and what it counted.

use std::{future::Future, time::Duration};

use atelier_platform::telemetry::metrics::CONTENT_TYPE;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};

use super::{Api, error::ApiError};

/// A part that takes longer than this is not ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// `GET /healthz`: the process lives. It does not ask others, since a restart would not mend them.
pub async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: database, NATS and object store answer.
pub async fn ready(State(api): State<Api>) -> Result<&'static str, ApiError> {
    let farm = &api.farm;
    if api.stop.is_cancelled() {
        return Err(not_ready("the coordinator is stopping".into()));
    }
    if !farm.bus.is_connected() {
        return Err(not_ready("NATS is away".into()));
    }
    let instance = format!("coordinator-{}", std::process::id());
    tokio::try_join!(
        in_time("the database", farm.store.ping()),
        in_time("the object store", farm.artifacts.probe(&instance)),
    )?;
    Ok("ready\n")
}

/// `GET /metrics`: Prometheus text.
pub async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, CONTENT_TYPE)],
        api.registry.render(),
    )
}

async fn in_time<E: std::fmt::Display>(
    what: &str,
    answer: impl Future<Output = Result<(), E>>,
) -> Result<(), ApiError> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            Err(not_ready(format!("{what} fails")))
        }
        Err(_) => Err(not_ready(format!("{what} does not answer"))),
    }
}

fn not_ready(why: String) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", why)
}
