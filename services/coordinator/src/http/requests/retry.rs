//! `POST /v1/requests/{id}/retry`: asks again for what failed or was canceled.

use axum::{extract::State, http::HeaderMap, response::Response};

use super::{
    super::{
        Api,
        caller::Caller,
        error::{ApiError, InPath},
        trace_context,
    },
    submit::{accepted, idempotency_key},
};
use crate::operations::retry::retry;

/// Answers like a submit: 201 and the new request.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = idempotency_key(&headers)?;
    let brought = trace_context(&headers);
    match retry(&api.farm, caller.tenant, id, key, brought).await {
        Ok(submitted) => Ok(accepted(submitted)),
        Err(error) => Err(ApiError::from_retry(id, error)),
    }
}
