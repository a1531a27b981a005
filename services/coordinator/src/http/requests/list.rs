//! `GET /v1/requests`: pages of requests, newest first.

use atelier_proto::{RequestId, http::RequestList};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;

use super::super::{Api, error::ApiError};

/// Requests on a page when the caller names no number.
const DEFAULT_LIMIT: u32 = 50;
/// Most requests on a page.
const MAX_LIMIT: u32 = 500;

/// Parameters of a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    before: Option<RequestId>,
    limit: Option<u32>,
}

/// Answers the page before `before`, of at most `limit` requests.
pub async fn handler(
    State(api): State<Api>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<RequestList>, ApiError> {
    let Query(page) = page?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("must be within 1..={MAX_LIMIT}");
        return Err(ApiError::invalid("limit", message));
    }
    Ok(Json(api.farm.store.list(page.before, limit).await?))
}
