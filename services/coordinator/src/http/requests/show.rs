//! `GET /v1/requests/{id}`: where a request stands.

use atelier_proto::http::RequestView;
use axum::{Json, extract::State};

use super::super::{
    Api,
    caller::Caller,
    error::{ApiError, InPath},
};
use crate::operations::look::look;

/// Answers the request with its jobs.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath,
) -> Result<Json<RequestView>, ApiError> {
    let view = look(&api.farm, caller.tenant, id).await?;
    view.map(Json).ok_or_else(|| ApiError::no_request(id))
}
