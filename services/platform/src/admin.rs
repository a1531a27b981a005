//! Admin endpoints of a process: `/metrics` for Prometheus, `/healthz` for whoever restarts it, `/readyz` for whoever waits for it.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::{Metrics, metrics::CONTENT_TYPE};

/// Says why something does not hold, or nothing when it does.
pub type Probe = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What a process says of itself.
#[derive(Clone)]
pub struct Probes {
    /// Whether it lives; if not, starting it anew may help.
    pub health: Probe,
    /// Whether it can work.
    pub readiness: Probe,
}

/// Serves the endpoints at `address` until `stop`.
pub async fn serve(
    address: SocketAddr,
    metrics: Metrics,
    probes: Probes,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "admin endpoints");
    axum::serve(listener, router(metrics, probes))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// The endpoints, for a process that serves more than these.
pub fn router(metrics: Metrics, probes: Probes) -> Router {
    let Probes { health, readiness } = probes;
    Router::new()
        .route(
            "/metrics",
            get(async move || ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.render())),
        )
        .route("/healthz", get(async move || answer(&health)))
        .route("/readyz", get(async move || answer(&readiness)))
}

fn answer(probe: &Probe) -> Response {
    match probe() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()).into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}
