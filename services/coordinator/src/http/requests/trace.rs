//! `GET /v1/requests/{id}/trace`: everything that led to the result, as JSON.

use atelier_proto::MediaType;
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
    let bytes = trace::read_or_make(&api.farm, id, files.trace).await?;
    let bytes = bytes.ok_or_else(|| ApiError::no_request(id))?;
    let content_type = [(header::CONTENT_TYPE, MediaType::Json.as_str())];
    Ok((content_type, bytes).into_response())
}
