//! `GET /v1/requests/{id}`: where a request stands.

use atelier_proto::http::RequestView;
use axum::{Json, extract::State};

use super::super::{
    Api,
    error::{ApiError, InPath},
};

/// Answers the request with its jobs.
pub async fn handler(
    State(api): State<Api>,
    InPath(id): InPath,
) -> Result<Json<RequestView>, ApiError> {
    let view = api.farm.store.view(id).await?;
    view.map(Json).ok_or_else(|| ApiError::no_request(id))
}
