//! Admin endpoints of a process: `/metrics` for Prometheus, `/healthz` for whoever restarts it.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::{Metrics, metrics::CONTENT_TYPE};

/// Says why the process is not healthy, or nothing when it is.
pub type Health = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Serves the endpoints at `address` until `stop`.
pub async fn serve(
    address: SocketAddr,
    metrics: Metrics,
    health: Health,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "admin endpoints");
    axum::serve(listener, router(metrics, health))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// The endpoints, for a process that serves more than these.
pub fn router(metrics: Metrics, health: Health) -> Router {
    Router::new()
        .route(
            "/metrics",
            get(async move || ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.render())),
        )
        .route(
            "/healthz",
            get(async move || match health() {
                Ok(()) => (StatusCode::OK, "ok\n".to_owned()).into_response(),
                Err(reason) => {
                    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response()
                }
            }),
        )
}
