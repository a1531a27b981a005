//! A row of `requests` as the state machine sees it.

use atelier_domain::{Best, Limits, PlanInUse, Request, State};
use atelier_proto::{
    ArtifactRef, MediaType, RequestId, Sha256, TenantId, TraceContext,
    job::{NamedReference, Priority, Size, Think},
    review::{Decision, Findings, Score},
};
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{StoreError, job_row::Rank};

/// What is read of a request to work on it.
#[derive(Debug, FromRow)]
pub(super) struct RequestRow {
    pub id: Uuid,
    seed: i64,
    max_rounds: i16,
    think: String,
    think_tokens: Option<i32>,
    plan_only: bool,
    direct_plan_sha256: Vec<u8>,
    direct_plan_bytes: i64,
    state: String,
    reason: Option<String>,
    round: i16,
    plan_sha256: Option<Vec<u8>>,
    plan_bytes: Option<i64>,
    plan_checks: Option<i32>,
    image_sha256: Option<Vec<u8>>,
    image_bytes: Option<i64>,
    image_round: Option<i16>,
    score_pass: Option<i32>,
    score_fail: Option<i32>,
    score_unknown: Option<i32>,
    notes: Vec<String>,
    candidates: i16,
    max_time_ms: Option<i64>,
    max_cost_ms: Option<i64>,
    findings: Option<Json<Findings>>,
    decisions: Option<Json<Vec<Decision>>>,
    priority: String,
    fair_tag: i64,
    pub version: i64,
    pub tenant_id: Uuid,
    pub created_ms: i64,
    prompt: String,
    steps: Option<i32>,
    width: Option<i32>,
    height: Option<i32>,
    pictures: Json<Vec<NamedReference>>,
    use_cache: bool,
    traceparent: Option<String>,
}

/// What the user asked for, as far as jobs need it. Never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// What to draw.
    pub prompt: String,
    /// How much to think.
    pub think: Think,
    /// Most tokens of a free thought.
    pub think_tokens: Option<u32>,
    /// How urgent.
    pub priority: Priority,
    /// Denoise steps.
    pub steps: Option<u32>,
    /// Size in pixels.
    pub size: Option<Size>,
    /// Whose drawings may be used for it and are kept, if any.
    pub keep_for: Option<TenantId>,
    /// The user's own pictures.
    pub pictures: Vec<NamedReference>,
    /// The submitter's trace, if it brought one.
    pub brought: Option<TraceContext>,
}

impl RequestRow {
    /// Takes out what the user asked for.
    pub fn take_spec(&mut self, priority: Priority) -> Spec {
        Spec {
            prompt: std::mem::take(&mut self.prompt),
            think: think(&self.think),
            think_tokens: self.think_tokens.map(i32::unsigned_abs),
            priority,
            steps: self.steps.map(i32::unsigned_abs),
            size: size(self.width, self.height),
            keep_for: self.use_cache.then(|| TenantId::from_uuid(self.tenant_id)),
            pictures: std::mem::take(&mut self.pictures.0),
            brought: self
                .traceparent
                .as_deref()
                .and_then(|text| text.parse().ok()),
        }
    }
}

/// `$more` columns beside those of the row, and the statement's end.
macro_rules! select {
    ($more:literal, $end:literal) => {
        concat!(
            "SELECT id, seed, max_rounds, think, think_tokens, plan_only, direct_plan_sha256, direct_plan_bytes, state, reason, round,
                    plan_sha256, plan_bytes, plan_checks, image_sha256, image_bytes, image_round,
                    score_pass, score_fail, score_unknown, notes, version, tenant_id, prompt, priority, fair_tag, steps, width, height, pictures,
                    traceparent, use_cache, candidates, max_time_ms, max_cost_ms, findings, decisions,
                    (extract(epoch FROM created_at) * 1000)::bigint AS created_ms",
            $more,
            "
             FROM requests
             WHERE id = ANY($1)",
            $end
        )
    };
}
pub(super) use select;

/// Reads the requests named in `$1`.
pub(super) const SELECT: &str = select!("", "");
/// Locks the requests named in `$1`, in order, so that two transactions never wait for each other.
pub(super) const SELECT_LOCKED: &str = select!("", " ORDER BY id FOR UPDATE");

/// A digest from a column.
pub(super) fn sha256(
    bytes: &[u8],
    table: &'static str,
    column: &'static str,
    row: Uuid,
) -> Result<Sha256, StoreError> {
    let digest = bytes.try_into().map_err(|_| StoreError::Row {
        table,
        column,
        row,
        reason: format!("{} bytes are no SHA-256 digest", bytes.len()),
    })?;
    Ok(Sha256(digest))
}

/// An artifact from its two columns; none when they are null.
pub(super) fn artifact(
    digest: Option<&[u8]>,
    bytes: Option<i64>,
    media_type: MediaType,
    table: &'static str,
    column: &'static str,
    row: Uuid,
) -> Result<Option<ArtifactRef>, StoreError> {
    let (Some(digest), Some(bytes)) = (digest, bytes) else {
        return Ok(None);
    };
    Ok(Some(ArtifactRef {
        sha256: sha256(digest, table, column, row)?,
        bytes: bytes.unsigned_abs(),
        media_type,
    }))
}

/// A score from its three columns; none when they are null.
pub(super) fn score(pass: Option<i32>, fail: Option<i32>, unknown: Option<i32>) -> Option<Score> {
    Some(Score {
        pass: pass?.unsigned_abs(),
        fail: fail?.unsigned_abs(),
        unknown: unknown?.unsigned_abs(),
    })
}

/// A size from its two columns; none when they are null.
pub(super) fn size(width: Option<i32>, height: Option<i32>) -> Option<Size> {
    Some(Size {
        width: width?.unsigned_abs(),
        height: height?.unsigned_abs(),
    })
}

/// The limits from their two columns.
pub(super) fn limits(time_ms: Option<i64>, cost_ms: Option<i64>) -> Limits {
    Limits {
        time_ms: time_ms.map(i64::unsigned_abs),
        cost_ms: cost_ms.map(i64::unsigned_abs),
    }
}

/// How much is thought, from its column.
pub(super) fn think(word: &str) -> Think {
    Think::ALL
        .into_iter()
        .find(|think| think.as_str() == word)
        .unwrap_or_default()
}

/// The state from its word and reason.
pub(super) fn state(word: &str, reason: Option<String>, row: Uuid) -> Result<State, StoreError> {
    let reason_or_empty = || reason.clone().unwrap_or_default();
    Ok(match word {
        "active" => State::Active,
        "succeeded" => State::Succeeded,
        "failed" => State::Failed {
            reason: reason_or_empty(),
        },
        "canceled" => State::Canceled {
            reason: reason_or_empty(),
        },
        other => {
            return Err(StoreError::Row {
                table: "requests",
                column: "state",
                row,
                reason: format!("{other:?} is not a state"),
            });
        }
    })
}

/// A priority from its column.
pub(super) fn priority(word: &str, row: Uuid) -> Result<Priority, StoreError> {
    Priority::ALL
        .into_iter()
        .find(|priority| priority.as_str() == word)
        .ok_or_else(|| StoreError::Row {
            table: "requests",
            column: "priority",
            row,
            reason: format!("{word:?} is not a priority"),
        })
}

impl RequestRow {
    /// Whose turn its jobs have.
    pub fn rank(&self) -> Result<Rank, StoreError> {
        Ok(Rank {
            priority: priority(&self.priority, self.id)?,
            fair_tag: self.fair_tag.unsigned_abs(),
        })
    }
}

impl TryFrom<RequestRow> for Request {
    type Error = StoreError;

    fn try_from(row: RequestRow) -> Result<Self, StoreError> {
        const TABLE: &str = "requests";
        let plan = artifact(
            row.plan_sha256.as_deref(),
            row.plan_bytes,
            MediaType::Json,
            TABLE,
            "plan_sha256",
            row.id,
        )?;
        let image = artifact(
            row.image_sha256.as_deref(),
            row.image_bytes,
            MediaType::Png,
            TABLE,
            "image_sha256",
            row.id,
        )?;
        Ok(Self {
            id: RequestId::from_uuid(row.id),
            seed: row.seed.cast_unsigned(),
            max_rounds: u32::from(row.max_rounds.unsigned_abs()),
            candidates: u32::from(row.candidates.unsigned_abs()),
            limits: limits(row.max_time_ms, row.max_cost_ms),
            created: row.created_ms.unsigned_abs(),
            direct_plan: ArtifactRef {
                sha256: sha256(&row.direct_plan_sha256, TABLE, "direct_plan_sha256", row.id)?,
                bytes: row.direct_plan_bytes.unsigned_abs(),
                media_type: MediaType::Json,
            },
            plan_only: row.plan_only,
            state: state(&row.state, row.reason, row.id)?,
            round: u32::from(row.round.unsigned_abs()),
            plan: plan.map(|artifact| PlanInUse {
                artifact,
                checks: row.plan_checks.unwrap_or(0).unsigned_abs(),
            }),
            best: image.map(|image| Best {
                image,
                score: score(row.score_pass, row.score_fail, row.score_unknown),
                round: u32::from(row.image_round.unwrap_or(1).unsigned_abs()),
            }),
            findings: row.findings.map(|found| found.0).unwrap_or_default(),
            decisions: row.decisions.map(|made| made.0).unwrap_or_default(),
            notes: row.notes,
            jobs: Vec::new(),
        })
    }
}

/// What is written of a request, over the version that it was read with.
#[derive(Debug)]
pub(super) struct RequestWrite<'a> {
    pub id: Uuid,
    pub version: i64,
    pub state: &'static str,
    pub reason: Option<&'a str>,
    pub round: i16,
    pub plan_sha256: Option<Sha256>,
    pub plan_bytes: Option<i64>,
    pub plan_checks: Option<i32>,
    pub image_sha256: Option<Sha256>,
    pub image_bytes: Option<i64>,
    pub image_round: Option<i16>,
    pub score: Option<Score>,
    pub notes: &'a [String],
    pub findings: Option<&'a Findings>,
    pub decisions: Option<&'a [Decision]>,
}

impl<'a> RequestWrite<'a> {
    /// A request as it is by now, read as `version`.
    pub fn new(request: &'a Request, version: i64) -> Self {
        let image = request.best.map(|best| best.image);
        let rounds = |round: u32| i16::try_from(round).unwrap_or(i16::MAX);
        Self {
            id: request.id.as_uuid(),
            version,
            state: request.state.kind().as_str(),
            reason: request.state.reason(),
            round: rounds(request.round),
            plan_sha256: request.plan.map(|plan| plan.artifact.sha256),
            plan_bytes: request.plan.map(|plan| plan.artifact.bytes.cast_signed()),
            plan_checks: request.plan.map(|plan| plan.checks.cast_signed()),
            image_sha256: image.map(|image| image.sha256),
            image_bytes: image.map(|image| image.bytes.cast_signed()),
            image_round: request.best.map(|best| rounds(best.round)),
            score: request.best.and_then(|best| best.score),
            notes: &request.notes,
            findings: (!request.findings.failed.is_empty()).then_some(&request.findings),
            decisions: (!request.decisions.is_empty()).then_some(&request.decisions),
        }
    }
}
