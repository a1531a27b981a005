//! Webhooks: who is told of the end of a request, and what. Signed as Standard Webhooks 1.0 says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RequestId, http::RequestState};

/// Longest URL, in bytes.
pub const MAX_URL_BYTES: usize = 2_000;
/// Start of a secret as people see it; the rest is base64.
pub const SECRET_PREFIX: &str = "whsec_";
/// Length of a secret, in bytes.
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Where the end of a request is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// An https URL outside of private networks. It gets a POST with a WebhookMessage.
    pub url: String,
    /// What the message is signed with, `whsec_` and the base64 of 24 to 64 bytes; none is the tenant's own secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What is posted. The headers `webhook-id`, `webhook-timestamp` and `webhook-signature` say from whom it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookMessage {
    /// The same in every try, as in `webhook-id`: whoever gets it twice can tell.
    pub id: String,
    /// Always `event`.
    pub object: String,
    /// `request.succeeded`, `request.failed` or `request.canceled`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When the request ended, RFC 3339.
    pub timestamp: String,
    /// The same in seconds since 1970.
    pub created_at: i64,
    /// The request.
    pub data: WebhookData,
}

/// The request that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookData {
    /// Its id.
    pub id: RequestId,
    /// How it ended.
    pub state: RequestState,
    /// Why, when it failed or was canceled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it is in the API.
    pub request: String,
    /// Where its picture is, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where its trace is.
    pub trace: String,
}

/// Where a webhook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// The request goes on, or the receiver has not taken the message yet.
    Waiting,
    /// The receiver has taken it.
    Delivered,
    /// It was tried often enough, or the receiver wants it no more.
    Dead,
}

impl WebhookState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// The word used in tables and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// One webhook, in `GET /v1/webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookView {
    /// The request.
    pub request: RequestId,
    /// Where its end is told.
    pub url: String,
    /// Where it stands.
    pub state: WebhookState,
    /// Tries so far.
    pub attempts: u32,
    /// When it is tried again, RFC 3339; only after a try that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// HTTP status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<u16>,
    /// What was wrong with the last try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// `GET /v1/webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookList {
    /// Newest first.
    pub webhooks: Vec<WebhookView>,
    /// Pass as `before` to get the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<RequestId>,
}

/// `GET /v1/webhooks/secret`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookSecret {
    /// What messages of this tenant are signed with, as `whsec_` and base64.
    pub secret: String,
}
