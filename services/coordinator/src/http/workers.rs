//! `GET /v1/workers`: who was heard in the last seconds. Workers belong to the farm, and every tenant sees them.

use atelier_proto::http::WorkerView;
use axum::{Json, extract::State};

use super::{Api, caller::Caller};

/// Lists the workers by name.
pub async fn handler(State(api): State<Api>, _: Caller) -> Json<Vec<WorkerView>> {
    Json(api.farm.workers.list())
}
