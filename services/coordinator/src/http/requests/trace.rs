//! `GET /v1/requests/{id}/trace`: everything that led to the result, as JSON.

use atelier_platform::artifacts::MAX_ARTIFACT_BYTES;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::super::{
    Api,
    caller::Caller,
    error::{ApiError, InPath},
};
use crate::operations::trace;

/// Answers the stored trace; writes it first when the request ended only now.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath,
) -> Result<Response, ApiError> {
    let files = api.farm.store.files(caller.tenant, id).await?;
    let files = files.ok_or_else(|| ApiError::no_request(id))?;
    if !files.state.is_terminal() {
        let message =
            format!("request {id} is still being worked on: its trace is written at the end");
        return Err(ApiError::new(StatusCode::CONFLICT, "not_finished", message));
    }
    let stored = match files.trace {
        Some(stored) => Some(stored),
        None => trace::write(&api.farm, id).await?,
    };
    let stored = stored.ok_or_else(|| ApiError::no_request(id))?;
    let bytes = api.farm.artifacts.get(&stored, MAX_ARTIFACT_BYTES).await?;
    let content_type = [(header::CONTENT_TYPE, stored.media_type.as_str())];
    Ok((content_type, bytes).into_response())
}
