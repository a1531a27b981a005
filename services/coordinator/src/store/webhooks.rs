//! Webhooks: who is to be told of the end of a request. Rows only for requests that asked for it.

use std::collections::HashMap;

use atelier_proto::{
    RequestId, TenantId,
    http::RequestState,
    webhook::{WebhookList, WebhookState, WebhookView},
};
use sqlx::{FromRow, Postgres, Transaction};
use uuid::Uuid;

use super::{Store, StoreError, Submission, request_row::state, view::rfc3339};

/// Where the end of a request is to be told, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookOrder {
    /// The URL.
    pub url: String,
    /// What it is signed with; none is the tenant's own secret.
    pub secret: Option<Vec<u8>>,
}

/// A webhook whose request ended, in this coordinator's hands for a while.
#[derive(Clone, Debug)]
pub struct DueWebhook {
    /// The request.
    pub request: RequestId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Where the message goes.
    pub order: WebhookOrder,
    /// Which try this is, from 1; fences what is written of it.
    pub attempt: u32,
    /// How the request ended.
    pub state: RequestState,
    /// Why, when it failed or was canceled.
    pub reason: Option<String>,
    /// Whether it has a picture.
    pub has_image: bool,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: i64,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Where the webhook stands now.
    pub state: WebhookState,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// What was wrong.
    pub error: Option<String>,
    /// Wait before the next try, in milliseconds.
    pub wait_ms: i64,
}

#[derive(FromRow)]
struct DueRow {
    request_id: Uuid,
    tenant_id: Uuid,
    url: String,
    secret: Option<Vec<u8>>,
    attempts: i32,
    state: String,
    reason: Option<String>,
    has_image: bool,
    ended_ms: i64,
}

#[derive(FromRow)]
struct ViewRow {
    request_id: Uuid,
    url: String,
    state: String,
    attempts: i32,
    next_ms: Option<i64>,
    last_status: Option<i32>,
    last_error: Option<String>,
}

/// Writes the webhooks of requests that are written in the same transaction.
pub(super) async fn insert(
    transaction: &mut Transaction<'static, Postgres>,
    submissions: &[&Submission],
) -> Result<(), StoreError> {
    for submission in submissions {
        let Some(order) = &submission.webhook else {
            continue;
        };
        sqlx::query(
            "INSERT INTO webhooks (request_id, tenant_id, url, secret) VALUES ($1, $2, $3, $4)",
        )
        .bind(submission.start.id.as_uuid())
        .bind(submission.tenant.as_uuid())
        .bind(&order.url)
        .bind(order.secret.as_deref())
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

impl Store {
    /// Takes up to `most` webhooks whose requests ended and whose time has come; nobody else takes them for `lease_ms`. The oldest first, but of each
    /// tenant no more than `most_each` less those of it that are `busy` here: a tenant whose receivers are slow delays only its own.
    pub async fn due_webhooks(
        &self,
        (most, most_each): (usize, usize),
        busy: &HashMap<TenantId, u32>,
        lease_ms: u64,
    ) -> Result<Vec<DueWebhook>, StoreError> {
        let (tenants, counts): (Vec<Uuid>, Vec<i64>) = busy
            .iter()
            .map(|(tenant, count)| (tenant.as_uuid(), i64::from(*count)))
            .unzip();
        let rows: Vec<DueRow> = sqlx::query_as(
            "WITH RECURSIVE
             -- The tenants that have any: one look into the index for each, however many it has.
             tenants AS (
                 (SELECT tenant_id AS id FROM webhooks WHERE state = 'waiting' ORDER BY tenant_id LIMIT 1)
                 UNION ALL
                 SELECT (SELECT w.tenant_id FROM webhooks w WHERE w.state = 'waiting' AND w.tenant_id > t.id ORDER BY w.tenant_id LIMIT 1)
                 FROM tenants t WHERE t.id IS NOT NULL
             ),
             due AS (
                 SELECT first.request_id
                 FROM tenants t LEFT JOIN unnest($3::uuid[], $4::bigint[]) AS b(tenant_id, busy) ON b.tenant_id = t.id
                 CROSS JOIN LATERAL (
                     SELECT w.request_id, w.next_at FROM webhooks w
                     WHERE w.tenant_id = t.id AND w.state = 'waiting' AND w.next_at <= now()
                     ORDER BY w.next_at
                     LIMIT greatest($2 - coalesce(b.busy, 0), 0)
                 ) first
                 ORDER BY first.next_at
                 LIMIT $1
             ),
             locked AS (
                 SELECT w.request_id FROM due CROSS JOIN LATERAL (
                     SELECT w.request_id FROM webhooks w
                     WHERE w.request_id = due.request_id AND w.state = 'waiting' AND w.next_at <= now()
                     -- What another coordinator is taking is left to it.
                     FOR UPDATE SKIP LOCKED
                 ) w
             ),
             taken AS (
                 UPDATE webhooks w
                 SET attempts = w.attempts + 1, next_at = now() + $5 * interval '1 millisecond'
                 FROM locked WHERE w.request_id = locked.request_id
                 RETURNING w.request_id, w.tenant_id, w.url, w.secret, w.attempts
             )
             SELECT t.*, r.state, r.reason, r.image_sha256 IS NOT NULL AS has_image,
                    (extract(epoch FROM r.finished_at) * 1000)::bigint AS ended_ms
             FROM taken t JOIN requests r ON r.id = t.request_id",
        )
        .bind(most as i64)
        .bind(most_each as i64)
        .bind(&tenants)
        .bind(&counts)
        .bind(lease_ms as f64)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(DueRow::into_due).collect()
    }

    /// Writes down what came of a try, unless another try began since.
    pub async fn webhook_tried(&self, due: &DueWebhook, tried: &Tried) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE webhooks
             SET state = $3, last_status = $4, last_error = $5, next_at = now() + $6 * interval '1 millisecond',
                 done_at = CASE WHEN $3 <> 'waiting' THEN now() END
             WHERE request_id = $1 AND attempts = $2 AND state = 'waiting'",
        )
        .bind(due.request.as_uuid())
        .bind(due.attempt.cast_signed())
        .bind(tried.state.as_str())
        .bind(tried.status.map(i32::from))
        .bind(tried.error.as_deref())
        .bind(tried.wait_ms as f64)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A page of a tenant's webhooks, those of the newest requests first.
    pub async fn webhooks(
        &self,
        tenant: TenantId,
        state: Option<WebhookState>,
        before: Option<RequestId>,
        limit: u32,
    ) -> Result<WebhookList, StoreError> {
        let rows: Vec<ViewRow> = sqlx::query_as(
            "SELECT request_id, url, state, attempts, last_status, last_error,
                    CASE WHEN state = 'waiting' AND attempts > 0 THEN (extract(epoch FROM next_at) * 1000)::bigint END AS next_ms
             FROM webhooks
             WHERE tenant_id = $1 AND request_id < $2 AND ($3::text IS NULL OR state = $3)
             ORDER BY request_id DESC
             LIMIT $4",
        )
        .bind(tenant.as_uuid())
        .bind(before.map_or(Uuid::max(), |id| id.as_uuid()))
        .bind(state.map(WebhookState::as_str))
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.pool)
        .await?;
        let more = rows.len() > limit as usize;
        let webhooks: Vec<_> = rows
            .into_iter()
            .take(limit as usize)
            .map(ViewRow::into_view)
            .collect();
        let next = webhooks.last().map(|last| last.request).filter(|_| more);
        Ok(WebhookList { webhooks, next })
    }
}

impl DueRow {
    fn into_due(self) -> Result<DueWebhook, StoreError> {
        Ok(DueWebhook {
            request: RequestId::from_uuid(self.request_id),
            tenant: TenantId::from_uuid(self.tenant_id),
            order: WebhookOrder {
                url: self.url,
                secret: self.secret,
            },
            attempt: self.attempts.unsigned_abs(),
            state: state(&self.state, None, self.request_id)?.kind(),
            reason: self.reason,
            has_image: self.has_image,
            ended_ms: self.ended_ms,
        })
    }
}

impl ViewRow {
    fn into_view(self) -> WebhookView {
        let known = WebhookState::ALL.into_iter();
        let mut known = known.filter(|state| state.as_str() == self.state);
        WebhookView {
            request: RequestId::from_uuid(self.request_id),
            url: self.url,
            state: known.next().unwrap_or(WebhookState::Waiting),
            attempts: self.attempts.unsigned_abs(),
            next_at: self.next_ms.map(rfc3339),
            last_status: self.last_status.and_then(|status| status.try_into().ok()),
            last_error: self.last_error,
        }
    }
}
