//! `GET /v1/requests/{id}/image`: the picture, the best so far while the request is worked on.

use std::time::Duration;

use axum::{
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
    let name = format!("atelier-{id}.png");
    Ok(file::answer(&api.farm.artifacts, &image, &name, &asked).await?)
}
