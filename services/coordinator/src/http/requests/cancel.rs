//! `POST /v1/requests/{id}/cancel` and `DELETE /v1/requests/{id}`: stops a request.

use atelier_proto::http::RequestView;
use axum::{Json, extract::State};

use super::super::{
    Api,
    error::{ApiError, InPath},
};
use crate::operations::cancel::cancel;

/// Answers the request as it is afterwards; one that ended before stays as it ended.
pub async fn handler(
    State(api): State<Api>,
    InPath(id): InPath,
) -> Result<Json<RequestView>, ApiError> {
    if !cancel(&api.farm, id).await? {
        return Err(ApiError::no_request(id));
    }
    let view = api.farm.store.view(id).await?;
    view.map(Json).ok_or_else(|| ApiError::no_request(id))
}
