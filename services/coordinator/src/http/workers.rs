//! `GET /v1/workers`: who was heard in the last seconds.

use atelier_proto::http::WorkerView;
use axum::{Json, extract::State};

use super::Api;

/// Lists the workers by name.
pub async fn handler(State(api): State<Api>) -> Json<Vec<WorkerView>> {
    Json(api.farm.workers.list())
}
