//! `GET /v1/requests`: pages of requests, newest first.

use atelier_proto::{
    RequestId,
    http::{RequestList, RequestState},
};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::{Api, caller::Caller, error::ApiError};
use crate::store::Filter;

/// Requests on a page when the caller names no number.
const DEFAULT_LIMIT: u32 = 50;
/// Most requests on a page.
const MAX_LIMIT: u32 = 500;

/// Parameters of a page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Only requests in this state.
    state: Option<RequestState>,
    /// Only requests made before this one; `next` of the page before.
    before: Option<RequestId>,
    /// Most requests on the page, 1..=500; 50 unless given.
    limit: Option<u32>,
}

/// Answers the caller's requests before `before`, of one `state` or of all, at most `limit` of them.
pub async fn handler(
    State(api): State<Api>,
    caller: Caller,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<RequestList>, ApiError> {
    let (filter, limit) = asked(page)?;
    let list = api.farm.store.list(caller.tenant, filter, limit).await?;
    Ok(Json(list))
}

/// Which requests a query asks for, and how many of them.
pub fn asked(page: Result<Query<Page>, QueryRejection>) -> Result<(Filter, u32), ApiError> {
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
    Ok((filter, limit))
}
