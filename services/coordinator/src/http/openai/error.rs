//! Errors in the shape that OpenAI's client libraries read. What is refused and why is the same as everywhere in the API.

use atelier_proto::{
    RequestId,
    openai::{OpenAiError, OpenAiErrorDetail},
};
use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{super::error::ApiError, REQUEST_ID};

/// The client libraries try again after 409 and 5xx unless this says `false`.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Why there are no pictures.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    param: Option<String>,
    message: String,
    /// Whether the same call may do better; left to the status unless said.
    again: Option<bool>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: String) -> Self {
        Self {
            status,
            kind,
            code,
            param: None,
            message,
            again: None,
            headers: Vec::new(),
        }
    }

    /// A field cannot be honoured; says which and why.
    pub fn field(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(name.into()),
            ..Self::bad("invalid_value", message.into())
        }
    }

    /// The call cannot be understood.
    pub fn bad(code: &'static str, message: String) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            code,
            message,
        )
    }

    /// The body is not what this endpoint reads.
    pub fn wrong_media_type(message: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request_error",
            "unsupported_media_type",
            message.to_owned(),
        )
    }

    /// The body is too long.
    pub fn too_large(most: usize) -> Self {
        let message = format!("the body is longer than {most} bytes");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request_error",
            "too_large",
            message,
        )
    }

    /// There is no such model here.
    pub fn no_model(name: &str, known: &str) -> Self {
        let shown: String = name.chars().take(100).collect();
        let message = format!("there is no model {shown:?} on this farm: it has {known:?}");
        Self {
            param: Some("model".to_owned()),
            ..Self::new(
                StatusCode::NOT_FOUND,
                "invalid_request_error",
                "model_not_found",
                message,
            )
        }
    }

    /// The farm tried and could not draw it. It has tried often enough.
    pub fn failed(reason: &str) -> Self {
        let message = format!("the farm could not draw it: {reason}");
        Self {
            again: Some(false),
            ..Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "generation_failed",
                message,
            )
        }
    }

    /// Somebody stopped it.
    pub fn canceled(reason: &str) -> Self {
        let message = format!("the request was canceled: {reason}");
        Self {
            again: Some(false),
            ..Self::new(
                StatusCode::CONFLICT,
                "invalid_request_error",
                "canceled",
                message,
            )
        }
    }

    /// It takes longer than a call may wait. What goes on can be waited for again.
    pub fn too_slow(seconds: u64, goes_on: bool) -> Self {
        let what = match goes_on {
            true => "the work goes on: come again with the same idempotency key",
            false => "the work was stopped: POST /v1/requests waits for nothing",
        };
        let message = format!("there was no picture within {seconds} s, and {what}");
        Self {
            again: Some(goes_on),
            ..Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                "server_error",
                "timeout",
                message,
            )
        }
    }

    /// This coordinator is about to end.
    pub fn stopping() -> Self {
        let message = "this coordinator is being stopped: try again".to_owned();
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "server_error",
            "unavailable",
            message,
        )
        .after(1)
    }

    fn after(mut self, seconds: u64) -> Self {
        self.headers
            .push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// Names the request that it is about.
    pub fn about(mut self, request: RequestId) -> Self {
        if let Ok(id) = HeaderValue::from_str(&request.to_string()) {
            self.headers.push((REQUEST_ID, id));
        }
        self
    }

    /// The same for a stream that has begun.
    pub fn detail(self) -> OpenAiErrorDetail {
        OpenAiErrorDetail {
            message: self.message,
            kind: self.kind.to_owned(),
            param: self.param,
            code: Some(self.code.to_owned()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(mut self) -> Response {
        let headers = std::mem::take(&mut self.headers);
        let (status, again) = (self.status, self.again);
        let body = OpenAiError {
            error: self.detail(),
        };
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().extend(headers);
        if let Some(again) = again {
            let word = HeaderValue::from_static(if again { "true" } else { "false" });
            response.headers_mut().insert(SHOULD_RETRY, word);
        }
        response
    }
}

impl<E: Into<ApiError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        let parts = error.into().into_parts();
        let (kind, code) = match parts.code {
            "unauthorized" => ("authentication_error", "invalid_api_key"),
            "queue_full" => ("rate_limit_error", "rate_limit_exceeded"),
            "invalid" => ("invalid_request_error", "invalid_value"),
            other if parts.status.is_server_error() => ("server_error", other),
            other => ("invalid_request_error", other),
        };
        let status = match parts.status {
            // There, a value that breaks a rule is a bad request.
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        let refusal = Self {
            param: parts.field.map(renamed),
            again: (status == StatusCode::CONFLICT).then_some(false),
            headers: parts.header.into_iter().collect(),
            ..Self::new(status, kind, code, parts.message)
        };
        match status {
            StatusCode::SERVICE_UNAVAILABLE => refusal.after(1),
            _ => refusal,
        }
    }
}

/// A field of a submit as it is called here.
fn renamed(field: String) -> String {
    if field.starts_with("references") {
        "image".to_owned()
    } else if field.starts_with("size.") {
        "size".to_owned()
    } else {
        field
    }
}
