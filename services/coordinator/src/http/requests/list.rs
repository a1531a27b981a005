//! `GET /v1/requests`: pages of requests, newest first.

use atelier_proto::{
    RequestId,
    http::{RequestList, RequestState},
};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;

use super::super::{Api, caller::Caller, error::ApiError};
use crate::store::Filter;

/// Requests on a page when the caller names no number.
const DEFAULT_LIMIT: u32 = 50;
/// Most requests on a page.
const MAX_LIMIT: u32 = 500;

/// Parameters of a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    state: Option<RequestState>,
    before: Option<RequestId>,
    limit: Option<u32>,
}

/// Answers the caller's requests before `before`, of one `state` or of all, at most `limit` of them.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<RequestList>, ApiError> {
    let Query(page) = page?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("must be within 1..={MAX_LIMIT}");
        return Err(ApiError::invalid("limit", message));
    }
    let filter = Filter {
        state: page.state,
        before: page.before,
    };
    let list = api.farm.store.list(caller.tenant, filter, limit).await?;
    Ok(Json(list))
}
