//! `GET /v1/requests/{id}/artifacts/{sha256}`: what a request is made of: pictures of its stages, plans, reviews, the user's own pictures.

use atelier_proto::{MediaType, RequestId, Sha256};
use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};

use super::super::{
    Api,
    caller::Caller,
    error::ApiError,
    file::{self, Asked},
};

/// Answers the file when the request names it. Bytes never change under a digest, so that one that is known is not sent again.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    path: Result<Path<(String, String)>, PathRejection>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let (id, sha256) = read(path)?;
    let named = api
        .farm
        .store
        .named_artifact(caller.tenant, id, sha256)
        .await?;
    let Some(artifact) = named else {
        let message = format!("there is no request {id} that names {sha256}");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", message));
    };
    let ending = match artifact.media_type {
        MediaType::Png => "png",
        MediaType::Json => "json",
    };
    let name = format!("atelier-{sha256}.{ending}");
    Ok(file::answer(&api.farm.artifacts, &artifact, &name, &asked).await?)
}

fn read(
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<(RequestId, Sha256), ApiError> {
    let parsed = path.ok().and_then(|Path((id, sha256))| {
        Some((
            id.parse::<RequestId>().ok()?,
            sha256.parse::<Sha256>().ok()?,
        ))
    });
    parsed.ok_or_else(|| {
        let message = "the path holds the id of a request, like 01890a5d-ac96-774b-bcce-b302099a8057, and the 64 hexadecimal digits of a SHA-256";
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_id", message)
    })
}
