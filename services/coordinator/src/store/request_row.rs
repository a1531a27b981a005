//! A row of `requests` as the state machine sees it.

use atelier_domain::{Best, PlanInUse, Request, State};
use atelier_proto::{ArtifactRef, MediaType, RequestId, Sha256, job::Priority, review::Score};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::{StoreError, job_row::Rank};

/// What is read of a request to work on it.
#[derive(Debug, FromRow)]
pub(super) struct RequestRow {
    pub id: Uuid,
    seed: i64,
    max_rounds: i16,
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
    priority: String,
    fair_tag: i64,
}

/// Locks the requests named in `$1`, in order, so that two transactions never wait for each other.
pub(super) const SELECT_LOCKED: &str = "
    SELECT id, seed, max_rounds, direct_plan_sha256, direct_plan_bytes, state, reason, round,
           plan_sha256, plan_bytes, plan_checks, image_sha256, image_bytes, image_round,
           score_pass, score_fail, score_unknown, notes, priority, fair_tag
    FROM requests
    WHERE id = ANY($1)
    ORDER BY id
    FOR UPDATE";

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
            direct_plan: ArtifactRef {
                sha256: sha256(&row.direct_plan_sha256, TABLE, "direct_plan_sha256", row.id)?,
                bytes: row.direct_plan_bytes.unsigned_abs(),
                media_type: MediaType::Json,
            },
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
            notes: row.notes,
            jobs: Vec::new(),
        })
    }
}

/// What is written of a request, as an element of a JSON array.
#[derive(Debug, Serialize)]
pub(super) struct RequestWrite<'a> {
    id: Uuid,
    state: &'static str,
    reason: Option<&'a str>,
    round: u32,
    plan_sha256: Option<Sha256>,
    plan_bytes: Option<u64>,
    plan_checks: Option<u32>,
    image_sha256: Option<Sha256>,
    image_bytes: Option<u64>,
    image_round: Option<u32>,
    score_pass: Option<u32>,
    score_fail: Option<u32>,
    score_unknown: Option<u32>,
    notes: &'a [String],
}

/// Columns of a [`RequestWrite`] in the JSON array `$1`.
macro_rules! record {
    () => {
        "jsonb_to_recordset($1) AS n(
            id uuid, state text, reason text, round smallint,
            plan_sha256 text, plan_bytes bigint, plan_checks integer,
            image_sha256 text, image_bytes bigint, image_round smallint,
            score_pass integer, score_fail integer, score_unknown integer, notes text[])"
    };
}

/// Writes the requests of the JSON array `$1`, as long as they are active, and counts those that end for their tenants.
pub(super) const UPDATE: &str = concat!(
    "WITH ending AS (
        SELECT r.tenant_id, count(*) AS requests
        FROM ",
    record!(),
    " JOIN requests r ON r.id = n.id
        WHERE r.state = 'active' AND n.state <> 'active'
        GROUP BY r.tenant_id
    ),
    counted AS (
        INSERT INTO tenant_endings AS e (tenant_id, slot, ended)
        -- Sessions seldom share a slot, and take those that they share in one order.
        SELECT tenant_id, pg_backend_pid() % 16, requests FROM ending ORDER BY tenant_id
        ON CONFLICT (tenant_id, slot) DO UPDATE SET ended = e.ended + excluded.ended
    )
    UPDATE requests r
    SET state = n.state, reason = n.reason, round = n.round,
        plan_sha256 = decode(n.plan_sha256, 'hex'), plan_bytes = n.plan_bytes, plan_checks = n.plan_checks,
        image_sha256 = decode(n.image_sha256, 'hex'), image_bytes = n.image_bytes, image_round = n.image_round,
        score_pass = n.score_pass, score_fail = n.score_fail, score_unknown = n.score_unknown,
        notes = n.notes,
        finished_at = CASE WHEN n.state = 'active' THEN NULL ELSE now() END
    FROM ",
    record!(),
    " WHERE r.id = n.id AND r.state = 'active'"
);

impl<'a> From<&'a Request> for RequestWrite<'a> {
    fn from(request: &'a Request) -> Self {
        let image = request.best.map(|best| best.image);
        let score = request.best.and_then(|best| best.score);
        Self {
            id: request.id.as_uuid(),
            state: request.state.kind().as_str(),
            reason: request.state.reason(),
            round: request.round,
            plan_sha256: request.plan.map(|plan| plan.artifact.sha256),
            plan_bytes: request.plan.map(|plan| plan.artifact.bytes),
            plan_checks: request.plan.map(|plan| plan.checks),
            image_sha256: image.map(|image| image.sha256),
            image_bytes: image.map(|image| image.bytes),
            image_round: request.best.map(|best| best.round),
            score_pass: score.map(|score| score.pass),
            score_fail: score.map(|score| score.fail),
            score_unknown: score.map(|score| score.unknown),
            notes: &request.notes,
        }
    }
}
