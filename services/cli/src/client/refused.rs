//! What a farm says no with, and what to do then.

use std::time::Duration;

use atelier_proto::http::ErrorBody;
use reqwest::{Response, StatusCode, header};

/// Longest body that is read, in bytes.
const LONGEST: usize = 64 << 10;
/// Most characters that are shown of a body that no farm wrote.
const SHOWN: usize = 500;

/// The farm said no.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// HTTP status.
    pub status: StatusCode,
    /// Its stable word, for example `not_found`; empty when something else than a farm answered.
    pub code: String,
    /// What it said, and what to do.
    pub message: String,
    /// When to ask again.
    pub retry_after: Option<Duration>,
}

impl Refused {
    /// A refusal that says no more than `message`.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code: String::new(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// Reads the answer of a farm, or of something on the way to it.
    pub async fn read(mut answer: Response) -> Self {
        let status = answer.status();
        let retry_after = answer.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.map(|seconds| seconds.as_bytes().to_vec());
        let mut body = Vec::new();
        // Who says no on the way may never stop.
        while let Ok(Some(chunk)) = answer.chunk().await
            && body.len() < LONGEST
        {
            body.extend_from_slice(&chunk);
        }
        Self::of(status, retry_after.as_deref(), &body)
    }

    /// The same from what it says: the header `Retry-After` and the body.
    pub fn of(status: StatusCode, retry_after: Option<&[u8]>, body: &[u8]) -> Self {
        let seconds = retry_after.and_then(|seconds| str::from_utf8(seconds).ok());
        let seconds = seconds.and_then(|seconds| seconds.trim().parse().ok());
        let mut refused = Self::new(status, "");
        refused.retry_after = seconds.map(Duration::from_secs);
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(body) => {
                refused.code = body.error.code;
                let field = body.error.field.map(|field| format!("{field} "));
                // "must be within 1..=500" needs to say what.
                refused.message = match field {
                    Some(field) if body.error.message.starts_with("must ") => {
                        field + &body.error.message
                    }
                    _ => body.error.message,
                };
            }
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                let start = text.chars().take(SHOWN).collect::<String>();
                refused.message = format!("{status}: {start}");
            }
        }
        refused
    }

    /// Adds what to do.
    pub fn advise(mut self, key: Option<&str>) -> Self {
        let advice = match (self.status, self.code.as_str()) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => match key {
                Some(source) => format!(
                    "The key came from {source}. 'atelier key create' makes one on the farm's own machine."
                ),
                None => "Set ATELIER_API_KEY, or name a file with --key-file; 'atelier key create' makes a key on the farm's own machine.".into(),
            },
            (StatusCode::TOO_MANY_REQUESTS, _) => match self.retry_after {
                Some(pause) => format!(
                    "Try again in {} s; 'atelier batch' waits by itself.",
                    pause.as_secs().max(1)
                ),
                None => "Try again later; 'atelier batch' waits by itself.".into(),
            },
            (_, "idempotency_conflict") => "--idempotency-key names the request that was made with it before.".into(),
            (_, "not_finished") => "'atelier watch ID' follows it to its end.".into(),
            _ => return self,
        };
        self.message = format!("{}\n{advice}", self.message);
        self
    }

    /// Whether there is no such request, as opposed to no such farm.
    pub fn is_unknown(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.code == "not_found"
    }

    /// Whether asking again in a moment may help.
    pub fn is_passing(&self) -> bool {
        matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        )
    }
}
