//! `GET /v1/requests/{id}/image`: the picture, the best so far while the request is worked on.

use atelier_platform::artifacts::MAX_ARTIFACT_BYTES;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::super::{
    Api,
    caller::Caller,
    error::{ApiError, InPath},
};

/// Answers the PNG file. Its digest is its entity tag, so that nobody fetches the same picture twice.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let files = api.farm.store.files(caller.tenant, id).await?;
    let files = files.ok_or_else(|| ApiError::no_request(id))?;
    let Some(image) = files.image else {
        let message = format!(
            "request {id} is {} and has no picture",
            files.state.as_str()
        );
        return Err(ApiError::new(StatusCode::NOT_FOUND, "no_image", message));
    };
    let tag = format!("\"{}\"", image.sha256);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    if known {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let bytes = api.farm.artifacts.get(&image, MAX_ARTIFACT_BYTES).await?;
    let content_type = image.media_type.as_str().to_owned();
    Ok((
        [(header::CONTENT_TYPE, content_type), (header::ETAG, tag)],
        bytes,
    )
        .into_response())
}
