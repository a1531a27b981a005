//! `POST /v1/requests`: accepts a request; the answer means that it is durable.

use std::time::Instant;

use atelier_proto::http::SubmitRequest;
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::sync::OwnedSemaphorePermit;

use super::super::{
    Api, BODY_BUDGET_KIB, MAX_BODY_BYTES, TRACEPARENT, caller::Caller, error::ApiError,
    trace_context,
};
use crate::operations::submit::{self, Submitted};

/// Answers 201 and where the request is, 200 when the idempotency key names one that is there already.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let headers = request.headers();
    let key = idempotency_key(headers)?;
    let brought = trace_context(headers);
    check_media_type(headers)?;
    // Held until the pictures are stored: bodies and what they decode to must not fill the memory.
    let _held = hold_body(&api, headers, MAX_BODY_BYTES, 1).await;
    let body = Bytes::from_request(request, &())
        .await
        .map_err(|rejection| unread(&rejection, MAX_BODY_BYTES))?;
    let digest = submit::body_sha256(&body);
    let submitted = read(&body)?;
    drop(body);
    let submitted =
        submit::submit(&api.farm, caller.tenant, submitted, digest, key, brought).await?;
    api.farm
        .metrics
        .submit_seconds
        .observe(started.elapsed().as_secs_f64());
    Ok(accepted(submitted))
}

/// The body; an error names the field that it is about.
fn read(body: &[u8]) -> Result<SubmitRequest, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut json);
    read.map_err(|error| (error.path().to_string(), error.into_inner()))
        .and_then(|body| {
            json.end()
                .map(|()| body)
                .map_err(|error| (".".into(), error))
        })
        .map_err(|(path, error)| {
            let message = format!("the body is not a request: {error}");
            let refused = ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message);
            match path.as_str() {
                "." | "?" => refused,
                _ => refused.about(path),
            }
        })
}

/// 201 and the request, or 200 when it was there before.
pub(super) fn accepted(Submitted { view, new, trace }: Submitted) -> Response {
    let status = if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let headers = [
        (header::LOCATION, format!("/v1/requests/{}", view.id)),
        (TRACEPARENT, trace.to_string()),
    ];
    (status, headers, Json(view)).into_response()
}

/// Waits for room to read a body of at most `most` bytes, as long as the caller announces it, `times` over for what is made of it; the room is
/// taken until what is answered is dropped.
pub async fn hold_body(
    api: &Api,
    headers: &HeaderMap,
    most: usize,
    times: usize,
) -> Option<OwnedSemaphorePermit> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse().ok());
    let expected = announced.map_or(most, |length: usize| length.min(most));
    let budget = u32::try_from((expected / 1_024 + 1) * times).unwrap_or(u32::MAX);
    let room = api.body_budget.clone();
    let held = room.acquire_many_owned(budget.min(BODY_BUDGET_KIB as u32));
    held.await.ok()
}

/// Whether the body is announced as JSON.
pub fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|given| given.to_str().ok())
        .unwrap_or("");
    let bare = given.split(';').next().unwrap_or("").trim();
    if bare.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "send the request as JSON, with content-type: application/json";
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        message,
    ))
}

/// The caller's own name for this call, if it gives one.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::invalid(
            "idempotency-key",
            "must be 1 to 255 visible ASCII characters",
        )),
    }
}

/// A body of at most `most` bytes that did not come as it should.
pub fn unread(rejection: &BytesRejection, most: usize) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!("the body is longer than {most} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    } else {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "unreadable",
            "the body did not arrive whole",
        )
    }
}
