//! `GET /v1/requests/{id}/image`: the picture, the best so far while the request is worked on.

use std::time::Duration;

use atelier_pictures::Origin;
use atelier_platform::artifacts::MAX_ARTIFACT_BYTES;
use axum::{
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::{
    Api,
    caller::Caller,
    error::{ApiError, InPath},
    file::{self, Asked},
};

/// How long a signed URL of a picture is good.
const SIGNED_FOR: Duration = Duration::from_secs(300);

/// How the picture is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// 1: where the store signs URLs, a redirect to one instead of the bytes, so that they do not pass through the coordinator.
    redirect: Option<u8>,
    /// 1: a copy to keep, with one more text in it, `atelier-trace`, that names the request; its digest is not that of the stored picture.
    /// Unless pictures say nothing of themselves on this farm. There is no redirect to it.
    traced: Option<u8>,
}

/// Answers the PNG file or a part of it.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath,
    wanted: Result<Query<Wanted>, QueryRejection>,
    asked: Asked,
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
    let name = format!("atelier-{id}.png");
    let artifacts = &api.farm.artifacts;
    if wanted.traced == Some(1) {
        let stored = artifacts.get(&image, MAX_ARTIFACT_BYTES).await?;
        let copy = Origin::of(id).put_into(&stored).map_or(stored, Bytes::from);
        return Ok(file::answer_made(copy, image.media_type, &name, &asked).await?);
    }
    if wanted.redirect == Some(1)
        && let Some(url) = artifacts.presigned(&image, SIGNED_FOR).await?
    {
        // The URL is as good as a key for this picture, so that nobody on the way may keep it.
        let headers = [
            (header::LOCATION, url),
            (header::CACHE_CONTROL, "no-store".into()),
        ];
        return Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response());
    }
    Ok(file::answer(artifacts, &image, &name, &asked).await?)
}
