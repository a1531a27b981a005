//! `POST /v1/requests/{id}/cancel` and `DELETE /v1/requests/{id}`: stops a request.

use atelier_proto::http::RequestView;
use axum::{Json, extract::State};

use super::super::{
    Api,
    caller::Caller,
    error::{ApiError, InPath},
};
use crate::operations::{cancel::cancel, look::look};

/// Answers the request as it is afterwards; one that ended before stays as it ended.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath,
) -> Result<Json<RequestView>, ApiError> {
    if !cancel(&api.farm, caller.tenant, id).await? {
        return Err(ApiError::no_request(id));
    }
    let view = look(&api.farm, caller.tenant, id).await?;
    view.map(Json).ok_or_else(|| ApiError::no_request(id))
}
