//! `GET /v1/requests/{id}/trace`: everything that led to the result, as JSON.

use atelier_platform::ArtifactError;
use axum::{extract::State, http::StatusCode, response::Response};

use super::super::{
    Api,
    caller::Caller,
    error::{ApiError, InPath},
    file::{self, Asked},
};
use crate::operations::trace;

/// Answers the stored trace; writes it first when the request ended only now, or when it was lost.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath,
    asked: Asked,
) -> Result<Response, ApiError> {
    let files = api.farm.store.files(caller.tenant, id).await?;
    let files = files.ok_or_else(|| ApiError::no_request(id))?;
    if !files.state.is_terminal() {
        let message =
            format!("request {id} is still being worked on: its trace is written at the end");
        return Err(ApiError::new(StatusCode::CONFLICT, "not_finished", message));
    }
    let name = format!("atelier-{id}.json");
    if let Some(stored) = files.trace {
        match file::answer(&api.farm.artifacts, &stored, &name, &asked).await {
            // It follows from rows and artifacts, and is made again.
            Err(error @ (ArtifactError::Missing(_) | ArtifactError::Damaged { .. })) => {
                tracing::warn!(request = %id, %error, "makes a trace again");
            }
            answered => return Ok(answered?),
        }
    }
    let made = trace::make(&api.farm, id, files.trace).await?;
    let made = made.ok_or_else(|| ApiError::no_request(id))?;
    Ok(file::answer(&api.farm.artifacts, &made, &name, &asked).await?)
}
