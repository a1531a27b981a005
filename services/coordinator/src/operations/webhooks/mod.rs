//! Telling the ends of requests to whoever asked for it: checked when asked, signed, tried again until taken or given up.

mod address;
mod sign;

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use atelier_proto::{
    TenantId,
    webhook::{
        MAX_URL_BYTES, SECRET_BYTES, SECRET_PREFIX, Webhook, WebhookData, WebhookMessage,
        WebhookState,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Client, Url, redirect::Policy};

use super::submit::SubmitError;
use crate::{
    farm::{Farm, Use},
    store::{DueWebhook, StoreError, Tried, WebhookOrder, rfc3339},
};

/// What the command line says of webhooks.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Whether they may go to private networks, and over plain HTTP.
    pub to_private: bool,
    /// Tries before one is given up.
    pub attempts: u32,
}

/// Most that are told at once.
pub const AT_ONCE: usize = 64;
/// Most of one tenant among them.
const AT_ONCE_EACH: usize = 4;
/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Nobody else tries meanwhile.
const LEASE_MS: u64 = 60_000;
/// Waits between tries, in seconds, as Standard Webhooks proposes them; the last one again and again.
const WAITS_S: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Longest reason that is told, in bytes.
const MAX_REASON_BYTES: usize = 1_000;

/// Checks where the end of a request is to be told.
pub fn check(webhook: Webhook, terms: Terms) -> Result<WebhookOrder, SubmitError> {
    let invalid = |field: &str, message: &str| SubmitError::Invalid {
        field: format!("webhook.{field}"),
        message: message.to_owned(),
    };
    if webhook.url.len() > MAX_URL_BYTES {
        let message = format!("has more than {MAX_URL_BYTES} bytes");
        return Err(invalid("url", &message));
    }
    let url: Url = webhook
        .url
        .parse()
        .map_err(|error| invalid("url", &format!("is not a URL: {error}")))?;
    address::check_url(&url, terms.to_private).map_err(|message| invalid("url", message))?;
    let secret = webhook.secret.map(|secret| {
        let decoded = secret
            .strip_prefix(SECRET_PREFIX)
            .and_then(|rest| BASE64_STANDARD.decode(rest).ok());
        decoded
            .filter(|secret| SECRET_BYTES.contains(&secret.len()))
            .ok_or_else(|| invalid("secret", "must be whsec_ and the base64 of 24 to 64 bytes"))
    });
    Ok(WebhookOrder {
        url: url.into(),
        secret: secret.transpose()?,
    })
}

/// The secret of a tenant, as people see it.
pub async fn tenant_secret(farm: &Farm, tenant: TenantId) -> Result<String, StoreError> {
    let secret = secret_of(farm, tenant).await?;
    Ok(format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(secret)))
}

/// It follows from the farm's own secret: nobody can tell that one, or another tenant's, from it.
async fn secret_of(farm: &Farm, tenant: TenantId) -> Result<Vec<u8>, StoreError> {
    let farms = farm.secrets.of(farm, Use::Webhooks).await?;
    Ok(sign::derived(&farms, tenant))
}

/// Takes what is due, up to `room` of them; `busy` are those of each tenant that this coordinator is at.
pub async fn take(
    farm: &Farm,
    room: usize,
    busy: &HashMap<TenantId, u32>,
) -> Result<Vec<DueWebhook>, StoreError> {
    let store = &farm.store;
    store
        .due_webhooks((room, AT_ONCE_EACH), busy, LEASE_MS)
        .await
}

/// Tells one, and writes down what came of it as soon as that is known. What cannot be written is told again when its lease is over.
pub async fn tell(farm: &Farm, due: &DueWebhook) {
    if let Err(error) = try_once(farm, due).await {
        tracing::warn!(request = %due.request, attempt = due.attempt, %error, "a webhook is told again: what came of it is not written");
    }
}

async fn try_once(farm: &Farm, due: &DueWebhook) -> Result<(), StoreError> {
    let secret = match &due.order.secret {
        Some(secret) => secret.clone(),
        None => secret_of(farm, due.tenant).await?,
    };
    let message = message(due, farm.public_url.as_deref());
    let body = serde_json::to_vec(&message).expect("a message holds nothing that JSON cannot");
    let to_private = farm.webhook_terms.to_private;
    let sent = post(&due.order.url, &message.id, body, &secret, to_private).await;
    let tried = judged(sent, due.attempt, farm.webhook_terms.attempts);
    let word = match tried.state {
        WebhookState::Delivered => "delivered",
        WebhookState::Waiting => "failed",
        WebhookState::Dead => "given_up",
    };
    farm.metrics.webhooks.with_label_values(&[word]).inc();
    match &tried.error {
        Some(error) => {
            tracing::info!(request = %due.request, attempt = due.attempt, error, outcome = word, "webhook")
        }
        None => {
            tracing::debug!(request = %due.request, attempt = due.attempt, "webhook delivered")
        }
    }
    farm.store.webhook_tried(due, &tried).await
}

fn message(due: &DueWebhook, public_url: Option<&str>) -> WebhookMessage {
    let here = public_url.unwrap_or_default().trim_end_matches('/');
    let request = format!("{here}/v1/requests/{}", due.request);
    let mut reason = due.reason.clone();
    if let Some(reason) = &mut reason {
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
    }
    WebhookMessage {
        id: format!("msg_{}", due.request),
        object: "event".to_owned(),
        kind: format!("request.{}", due.state.as_str()),
        timestamp: rfc3339(due.ended_ms),
        created_at: due.ended_ms / 1_000,
        data: WebhookData {
            id: due.request,
            state: due.state,
            reason,
            image: due.has_image.then(|| format!("{request}/image")),
            trace: format!("{request}/trace"),
            request,
        },
    }
}

/// Posts a signed message; the status that is answered, or why there is none.
async fn post(
    url: &str,
    id: &str,
    body: Vec<u8>,
    secret: &[u8],
    to_private: bool,
) -> Result<u16, String> {
    let url: Url = url.parse().map_err(|error| format!("the URL: {error}"))?;
    // What may be reached depends on the terms of now, and on what the name stands for now.
    address::check_url(&url, to_private).map_err(str::to_owned)?;
    let addresses = address::resolve(&url, to_private, PATIENCE).await?;
    let client = client(&url, &addresses).map_err(|error| plain(&error))?;
    let now = jiff::Timestamp::now().as_second();
    let answer = client
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", sign::signature(id, now, &body, secret))
        .body(body)
        .send()
        .await
        .map_err(|error| plain(&error))?;
    // Its body is never read.
    Ok(answer.status().as_u16())
}

/// Goes to these addresses whatever the name stands for in a moment, and nowhere else.
fn client(url: &Url, addresses: &[SocketAddr]) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .user_agent(concat!("atelier/", env!("CARGO_PKG_VERSION")));
    match url.domain() {
        Some(name) => builder.resolve_to_addrs(name, addresses),
        None => builder,
    }
    .build()
}

/// An error with its causes, without the URL, which may hold what only its owner should know.
fn plain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        "cannot connect".to_owned()
    } else {
        "the connection broke".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.truncate(text.floor_char_boundary(500));
    text
}

/// What follows from an answer.
fn judged(sent: Result<u16, String>, attempt: u32, most: u32) -> Tried {
    let (status, error) = match sent {
        Ok(status @ 200..=299) => {
            return Tried {
                state: WebhookState::Delivered,
                status: Some(status),
                error: None,
                wait_ms: 0,
            };
        }
        Ok(status) => (Some(status), format!("answered {status}")),
        Err(error) => (None, error),
    };
    // 410 says that nobody wants it any more.
    let over = attempt >= most || status == Some(410);
    Tried {
        state: match over {
            true => WebhookState::Dead,
            false => WebhookState::Waiting,
        },
        status,
        error: Some(error),
        wait_ms: if over {
            0
        } else {
            wait_ms(attempt, rand::random())
        },
    }
}

/// Wait after a try, in milliseconds: up to a fifth longer by `chance`, so that many do not come back together.
fn wait_ms(attempt: u32, chance: u16) -> i64 {
    let index = (attempt.max(1) - 1) as usize;
    let seconds = WAITS_S[index.min(WAITS_S.len() - 1)];
    let more = seconds * 200 * u64::from(chance) / u64::from(u16::MAX);
    (seconds * 1_000 + more).cast_signed()
}

#[cfg(test)]
mod tests;
