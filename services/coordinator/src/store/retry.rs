//! What a request asked for, to ask for it again.

use atelier_domain::Limits;
use atelier_proto::{
    ArtifactRef, MediaType, RequestId, TenantId,
    http::RequestState,
    job::{NamedReference, Priority, Size, Think},
};
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Store, StoreError, WebhookOrder,
    request_row::{artifact, limits, priority, size, state, think},
};

/// A request as it was asked for, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Where it stands.
    pub state: RequestState,
    /// What to draw.
    pub prompt: String,
    /// The seed everything derived from.
    pub seed: u64,
    /// Whether a plan was made first.
    pub think: Think,
    /// Most tokens of a free thought.
    pub think_tokens: Option<u32>,
    /// How urgent.
    pub priority: Priority,
    /// Denoise steps.
    pub steps: Option<u32>,
    /// Size in pixels.
    pub size: Option<Size>,
    /// Most passes of render and critique.
    pub max_rounds: u32,
    /// Whether what was made before may be used.
    pub use_cache: bool,
    /// Drawings of the first round.
    pub candidates: u32,
    /// After what no further round begins.
    pub limits: Limits,
    /// The user's own pictures, stored.
    pub pictures: Vec<NamedReference>,
    /// Ended with its plan.
    pub plan_only: bool,
    /// The plan that was given, else the prompt as one; stored.
    pub direct_plan: ArtifactRef,
    /// Who is told of its end.
    pub webhook: Option<WebhookOrder>,
}

#[derive(FromRow)]
struct AskedRow {
    state: String,
    prompt: String,
    seed: i64,
    think: String,
    think_tokens: Option<i32>,
    priority: String,
    steps: Option<i32>,
    width: Option<i32>,
    height: Option<i32>,
    max_rounds: i16,
    plan_only: bool,
    use_cache: bool,
    candidates: i16,
    max_time_ms: Option<i64>,
    max_cost_ms: Option<i64>,
    pictures: Json<Vec<NamedReference>>,
    direct_plan_sha256: Vec<u8>,
    direct_plan_bytes: i64,
    webhook_url: Option<String>,
    webhook_secret: Option<Vec<u8>>,
}

impl Store {
    /// What a request of a tenant asked for; none when the tenant has no such request.
    pub async fn asked(
        &self,
        tenant: TenantId,
        id: RequestId,
    ) -> Result<Option<Asked>, StoreError> {
        let row: Option<AskedRow> = sqlx::query_as(
            "SELECT r.state, r.prompt, r.seed, r.think, r.think_tokens, r.priority, r.steps, r.width, r.height, r.max_rounds, r.plan_only,
                    r.use_cache, r.pictures, r.candidates, r.max_time_ms, r.max_cost_ms, r.direct_plan_sha256, r.direct_plan_bytes,
                    w.url AS webhook_url, w.secret AS webhook_secret
             FROM requests r LEFT JOIN webhooks w ON w.request_id = r.id
             WHERE r.id = $1 AND r.tenant_id = $2",
        )
        .bind(id.as_uuid())
        .bind(tenant.as_uuid())
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| row.into_asked(id.as_uuid())).transpose()
    }
}

impl AskedRow {
    fn into_asked(self, row: Uuid) -> Result<Asked, StoreError> {
        const COLUMN: &str = "direct_plan_sha256";
        let direct_plan = artifact(
            Some(&self.direct_plan_sha256),
            Some(self.direct_plan_bytes),
            MediaType::Json,
            "requests",
            COLUMN,
            row,
        )?
        .ok_or_else(|| StoreError::Row {
            table: "requests",
            column: COLUMN,
            row,
            reason: "is null".into(),
        })?;
        Ok(Asked {
            state: state(&self.state, None, row)?.kind(),
            prompt: self.prompt,
            seed: self.seed.cast_unsigned(),
            think: think(&self.think),
            think_tokens: self.think_tokens.map(i32::unsigned_abs),
            priority: priority(&self.priority, row)?,
            steps: self.steps.map(i32::unsigned_abs),
            size: size(self.width, self.height),
            max_rounds: u32::from(self.max_rounds.unsigned_abs()),
            use_cache: self.use_cache,
            candidates: u32::from(self.candidates.unsigned_abs()),
            limits: limits(self.max_time_ms, self.max_cost_ms),
            pictures: self.pictures.0,
            plan_only: self.plan_only,
            direct_plan,
            webhook: self.webhook_url.map(|url| WebhookOrder {
                url,
                secret: self.webhook_secret,
            }),
        })
    }
}
