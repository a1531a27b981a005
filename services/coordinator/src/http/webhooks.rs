//! `GET /v1/webhooks` and `GET /v1/webhooks/secret`: what became of the messages that a tenant asked for, and what they are signed with.

use atelier_proto::{
    RequestId,
    webhook::{WebhookList, WebhookSecret, WebhookState},
};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Api, caller::Caller, error::ApiError};
use crate::operations::webhooks::tenant_secret;

/// Webhooks on a page when the caller names no number.
const DEFAULT_LIMIT: u32 = 50;
/// Most webhooks on a page.
const MAX_LIMIT: u32 = 500;

/// Parameters of a page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookPage {
    /// Only webhooks in this state.
    state: Option<WebhookState>,
    /// Only those of requests made before this one; `next` of the page before.
    before: Option<RequestId>,
    /// Most webhooks on the page, 1..=500; 50 unless given.
    limit: Option<u32>,
}

/// Answers the caller's webhooks, those of the newest requests first.
pub async fn list(
    State(api): State<Api>,
    caller: Caller,
    page: Result<Query<WebhookPage>, QueryRejection>,
) -> Result<Json<WebhookList>, ApiError> {
    let Query(page) = page?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("must be within 1..={MAX_LIMIT}");
        return Err(ApiError::invalid("limit", message));
    }
    let store = &api.farm.store;
    let list = store.webhooks(caller.tenant, page.state, page.before, limit);
    Ok(Json(list.await?))
}

/// Answers what messages of the caller's tenant are signed with; it is made when it is first asked for.
pub async fn secret(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<WebhookSecret>, ApiError> {
    let secret = tenant_secret(&api.farm, caller.tenant).await?;
    Ok(Json(WebhookSecret { secret }))
}
