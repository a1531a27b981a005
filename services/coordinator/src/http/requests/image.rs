//! `GET /v1/requests/{id}/image`: the picture, the best so far while the request is worked on.

use std::time::Duration;

use atelier_platform::artifacts::MAX_ARTIFACT_BYTES;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::super::{
    Api,
    caller::Caller,
    error::{ApiError, InPath},
};

/// How long a signed URL of a picture is good.
const SIGNED_FOR: Duration = Duration::from_secs(300);

/// How the picture is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// 1: where the store signs URLs, a redirect to one instead of the bytes, so that they do not pass through the coordinator.
    redirect: Option<u8>,
}

/// Answers the PNG file. Its digest is its entity tag, so that nobody fetches the same picture twice.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(wanted) = wanted?;
    let files = api.farm.store.files(caller.tenant, id).await?;
    let files = files.ok_or_else(|| ApiError::no_request(id))?;
    let Some(image) = files.image else {
        let message = format!(
            "request {id} is {} and has no picture",
            files.state.as_str()
        );
        return Err(ApiError::new(StatusCode::NOT_FOUND, "no_image", message));
    };
    if wanted.redirect == Some(1)
        && let Some(url) = api.farm.artifacts.presigned(&image, SIGNED_FOR).await?
    {
        // The URL is as good as a key for this picture, so that nobody on the way may keep it.
        let headers = [
            (header::LOCATION, url),
            (header::CACHE_CONTROL, "no-store".into()),
        ];
        return Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response());
    }
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
