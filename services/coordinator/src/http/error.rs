//! Errors of the API: a stable word for programs, a sentence for people. What went wrong inside is logged and never told.

use atelier_platform::ArtifactError;
use atelier_proto::{
    RequestId,
    http::{ErrorBody, ErrorDetail},
};
use axum::{
    Json,
    extract::{FromRequestParts, Path, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};

use crate::{
    operations::{
        direct_plan::LostPlan, retry::RetryError, submit::SubmitError, trace::TraceError,
    },
    store::StoreError,
};

/// An error as the caller sees it.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
    /// Boxed, since few errors have one and every handler returns this type.
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl ApiError {
    /// An error without a field.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            field: None,
            header: None,
        }
    }

    /// A field of the body or a parameter breaks a rule.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
        }
    }

    /// The call came without an API key.
    pub fn no_key() -> Self {
        let message = "this farm wants an API key, as 'authorization: Bearer KEY'; 'atelier-coordinator key create' makes one";
        Self::unauthorized(message, "Bearer realm=\"atelier\"")
    }

    /// The same, about a field of the body.
    pub fn about(self, field: String) -> Self {
        Self {
            field: Some(field),
            ..self
        }
    }

    /// The API key is not one of this farm, or was revoked.
    pub fn wrong_key() -> Self {
        let message = "this API key is not known here, or was revoked";
        Self::unauthorized(message, "Bearer realm=\"atelier\", error=\"invalid_token\"")
    }

    /// A browser sent it along with a cookie, and the page that made it is not ours.
    pub fn cross_site() -> Self {
        let message = "another site asked for this: with the cookie of the farm's page only that page may change something";
        Self::new(StatusCode::FORBIDDEN, "cross_site", message)
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is said to people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The field of the body that it is about.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    fn unauthorized(message: &str, challenge: &'static str) -> Self {
        Self {
            header: Some(Box::new((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            ))),
            ..Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        }
    }

    fn queue_full(limit: u64, retry_after_s: u64) -> Self {
        let message = format!(
            "{limit} requests of this tenant are being worked on or wait, as many as there may be: try again in {retry_after_s} s"
        );
        Self {
            header: Some(Box::new((
                header::RETRY_AFTER,
                HeaderValue::from(retry_after_s),
            ))),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message)
        }
    }

    /// There is no such request, or it is another tenant's: nobody can tell which.
    pub fn no_request(id: RequestId) -> Self {
        let message = format!("there is no request {id}");
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Why a request cannot be asked for again.
    pub fn from_retry(id: RequestId, error: RetryError) -> Self {
        match error {
            RetryError::Unknown => Self::no_request(id),
            RetryError::NotOver(state) => {
                let message = format!(
                    "request {id} is {}: only what failed or was canceled can be asked for again",
                    state.as_str()
                );
                Self::new(StatusCode::CONFLICT, "not_retryable", message)
            }
            RetryError::Submit(error) => error.into(),
            RetryError::Lost(LostPlan::Artifacts(error)) => error.into(),
            RetryError::Lost(error) => {
                tracing::error!(%error, "a plan that was given cannot be read again");
                Self::internal()
            }
        }
    }

    fn unavailable(what: &str) -> Self {
        let message = format!("{what} does not answer at the moment: try again");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// What is in the object store is not what was put there.
    pub fn damaged() -> Self {
        let message = "the file in the object store is not the one that was stored";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", message)
    }

    fn internal() -> Self {
        let message = "something went wrong inside: the coordinator's log says what";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

/// An error taken apart, for those who show it in another shape.
#[derive(Debug)]
pub struct Told {
    /// Status of the answer.
    pub status: StatusCode,
    /// A stable word.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
    /// The field that it is about.
    pub field: Option<String>,
    /// A header that belongs to it.
    pub header: Option<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// Its parts.
    pub fn into_parts(self) -> Told {
        Told {
            status: self.status,
            code: self.code,
            message: self.message,
            field: self.field,
            header: self.header.map(|header| *header),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: ErrorDetail {
                code: self.code.to_owned(),
                message: self.message,
                field: self.field,
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        response
            .headers_mut()
            .extend(self.header.map(|header| *header));
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a call failed");
        if error.is_away() {
            Self::unavailable("the database")
        } else {
            Self::internal()
        }
    }
}

impl From<ArtifactError> for ApiError {
    fn from(error: ArtifactError) -> Self {
        tracing::error!(%error, "a call failed");
        match error {
            ArtifactError::Store(_) => Self::unavailable("the object store"),
            ArtifactError::Missing(_) | ArtifactError::Damaged { .. } => Self::damaged(),
            _ => Self::internal(),
        }
    }
}

impl From<TraceError> for ApiError {
    fn from(error: TraceError) -> Self {
        match error {
            TraceError::Store(error) => error.into(),
            TraceError::Artifacts(error) => error.into(),
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Invalid { field, message } => Self::invalid(field, message),
            SubmitError::KeyTaken => {
                let message = "this idempotency key was used with another body: choose a new one";
                Self::new(StatusCode::CONFLICT, "idempotency_conflict", message)
            }
            SubmitError::QueueFull {
                limit,
                retry_after_s,
            } => Self::queue_full(limit, retry_after_s),
            SubmitError::Artifacts(error) => error.into(),
            SubmitError::Store(error) => error.into(),
            SubmitError::NotConfirmed => Self::unavailable("the database"),
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_query",
            rejection.body_text(),
        )
    }
}

/// The id in the path of a request.
#[derive(Clone, Copy, Debug)]
pub struct InPath(pub RequestId);

impl<S: Send + Sync> FromRequestParts<S> for InPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        text.ok()
            .and_then(|Path(text)| text.parse().ok())
            .map(Self)
            .ok_or_else(|| {
                let message = "the id in the path is not one of a request: it looks like 01890a5d-ac96-774b-bcce-b302099a8057";
                ApiError::new(StatusCode::BAD_REQUEST, "invalid_id", message)
            })
    }
}

/// Answer to paths that nobody serves.
pub async fn no_such_path(uri: Uri) -> ApiError {
    let message = format!("there is nothing at {}", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
}

/// Answer to methods that a path does not have.
pub async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}
