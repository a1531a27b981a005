//! What the trace of a request is made from, and where it is once it is stored.

use atelier_proto::{
    ArtifactRef, MediaType, RequestId,
    http::{SubmitRequest, UploadedReference},
    job::{JobKind, NamedReference, Priority, Size, Think},
    trace::{Trace, TraceJob},
};
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Store, StoreError,
    request_row::{artifact, state},
    view::{kind, rfc3339},
};

/// A trace as far as rows tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceRows {
    /// The trace without plan, thought, and reviews.
    pub trace: Trace,
    /// The plan that was carried out.
    pub plan: Option<ArtifactRef>,
    /// What each job's report told beside its outcome, in the order of the trace's jobs.
    pub details: Vec<Option<serde_json::Value>>,
    /// Remarks on how the request went.
    pub notes: Vec<String>,
}

#[derive(FromRow)]
struct HeadRow {
    model: String,
    prompt: String,
    seed: i64,
    think: String,
    priority: String,
    steps: Option<i32>,
    width: Option<i32>,
    height: Option<i32>,
    max_rounds: i16,
    pictures: Json<Vec<NamedReference>>,
    state: String,
    reason: Option<String>,
    plan_sha256: Option<Vec<u8>>,
    plan_bytes: Option<i64>,
    image_sha256: Option<Vec<u8>>,
    image_bytes: Option<i64>,
    notes: Vec<String>,
    created_ms: i64,
    finished_ms: Option<i64>,
}

#[derive(FromRow)]
struct JobRow {
    id: Uuid,
    kind: String,
    round: i16,
    stage: Option<String>,
    op: Option<String>,
    seed: i64,
    state: String,
    attempt: i32,
    worker_id: Option<Uuid>,
    wall_ms: Option<i64>,
    device_ms: Option<i64>,
    artifact_sha256: Option<Vec<u8>>,
    artifact_bytes: Option<i64>,
    reason: Option<String>,
    detail: Option<serde_json::Value>,
}

impl Store {
    /// Everything that rows tell of a request that ended; none when there is no such request.
    pub async fn trace_rows(&self, id: RequestId) -> Result<Option<TraceRows>, StoreError> {
        let head: Option<HeadRow> = sqlx::query_as(
            "SELECT model, prompt, seed, think, priority, steps, width, height, max_rounds, pictures, state, reason,
                    plan_sha256, plan_bytes, image_sha256, image_bytes, notes,
                    (extract(epoch FROM created_at) * 1000)::bigint AS created_ms,
                    (extract(epoch FROM finished_at) * 1000)::bigint AS finished_ms
             FROM requests WHERE id = $1",
        )
        .bind(id.as_uuid())
        .fetch_optional(&self.pool)
        .await?;
        let Some(head) = head else { return Ok(None) };
        let jobs: Vec<JobRow> = sqlx::query_as(
            "SELECT id, kind, round, stage, op, seed, state, attempt, worker_id,
                    (extract(epoch FROM finished_at - ready_at) * 1000)::bigint AS wall_ms,
                    device_ms, artifact_sha256, artifact_bytes, reason, detail
             FROM jobs WHERE request_id = $1 ORDER BY position",
        )
        .bind(id.as_uuid())
        .fetch_all(&self.pool)
        .await?;
        let details = jobs.iter().map(|job| job.detail.clone()).collect();
        let jobs = jobs
            .into_iter()
            .map(TraceJob::try_from)
            .collect::<Result<_, _>>()?;
        head.into_rows(id, jobs, details).map(Some)
    }

    /// Ended requests whose trace is still to be written, oldest first, those that ended `age_ms` ago or earlier.
    pub async fn without_trace(
        &self,
        age_ms: u64,
        limit: u32,
    ) -> Result<Vec<RequestId>, StoreError> {
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM requests
             WHERE trace_sha256 IS NULL AND state <> 'active'
               AND finished_at <= clock_timestamp() - $1 * interval '1 millisecond'
             ORDER BY finished_at
             LIMIT $2",
        )
        .bind(age_ms.cast_signed())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().map(RequestId::from_uuid).collect())
    }

    /// Where the trace of a request is; none while it is not stored.
    pub async fn recorded_trace(&self, id: RequestId) -> Result<Option<ArtifactRef>, StoreError> {
        let row: Option<(Option<Vec<u8>>, Option<i64>)> =
            sqlx::query_as("SELECT trace_sha256, trace_bytes FROM requests WHERE id = $1")
                .bind(id.as_uuid())
                .fetch_optional(&self.pool)
                .await?;
        let Some((digest, bytes)) = row else {
            return Ok(None);
        };
        artifact(
            digest.as_deref(),
            bytes,
            MediaType::Json,
            "requests",
            "trace_sha256",
            id.as_uuid(),
        )
    }

    /// Writes down where the trace of a request is. The first one counts; returns whether this was it.
    pub async fn record_trace(
        &self,
        id: RequestId,
        trace: &ArtifactRef,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE requests SET trace_sha256 = $2, trace_bytes = $3
             WHERE id = $1 AND state <> 'active' AND trace_sha256 IS NULL",
        )
        .bind(id.as_uuid())
        .bind(trace.sha256.0.as_slice())
        .bind(trace.bytes.cast_signed())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

impl HeadRow {
    fn into_rows(
        self,
        id: RequestId,
        jobs: Vec<TraceJob>,
        details: Vec<Option<serde_json::Value>>,
    ) -> Result<TraceRows, StoreError> {
        let row = id.as_uuid();
        let file = |digest: Option<&[u8]>, bytes, media_type, column| {
            artifact(digest, bytes, media_type, "requests", column, row)
        };
        let plan = file(
            self.plan_sha256.as_deref(),
            self.plan_bytes,
            MediaType::Json,
            "plan_sha256",
        )?;
        let image = file(
            self.image_sha256.as_deref(),
            self.image_bytes,
            MediaType::Png,
            "image_sha256",
        )?;
        let priority = Priority::ALL
            .into_iter()
            .find(|priority| priority.as_str() == self.priority)
            .unwrap_or_default();
        let trace = Trace {
            version: 1,
            request: id,
            submitted: SubmitRequest {
                prompt: self.prompt,
                seed: Some(self.seed.cast_unsigned()),
                think: if self.think == "off" {
                    Think::Off
                } else {
                    Think::Fast
                },
                priority,
                steps: self.steps.map(i32::unsigned_abs),
                size: self.width.zip(self.height).map(|(width, height)| Size {
                    width: width.unsigned_abs(),
                    height: height.unsigned_abs(),
                }),
                max_rounds: Some(u32::from(self.max_rounds.unsigned_abs())),
                references: self
                    .pictures
                    .0
                    .into_iter()
                    .map(|named| UploadedReference {
                        name: named.name,
                        data: String::new(),
                    })
                    .collect(),
            },
            seed: self.seed.cast_unsigned(),
            model: self.model,
            state: state(&self.state, None, row)?.kind(),
            reason: self.reason,
            image,
            plan: None,
            thought: None,
            jobs,
            created_at: rfc3339(self.created_ms),
            finished_at: self.finished_ms.map(rfc3339),
        };
        Ok(TraceRows {
            trace,
            plan,
            details,
            notes: self.notes,
        })
    }
}

impl TryFrom<JobRow> for TraceJob {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let kind = kind(&row.kind, row.id)?;
        let media_type = match kind {
            JobKind::Render => MediaType::Png,
            JobKind::Plan | JobKind::Critique => MediaType::Json,
        };
        Ok(Self {
            kind,
            round: u32::from(row.round.unsigned_abs()),
            stage: row.stage,
            op: row.op,
            seed: (kind != JobKind::Critique).then_some(row.seed.cast_unsigned()),
            steps: None,
            state: row.state,
            attempts: row.attempt.unsigned_abs(),
            worker: row.worker_id.map(|worker| worker.to_string()),
            wall_ms: row.wall_ms.map(i64::unsigned_abs),
            device_ms: row.device_ms.map(i64::unsigned_abs),
            artifact: artifact(
                row.artifact_sha256.as_deref(),
                row.artifact_bytes,
                media_type,
                "jobs",
                "artifact_sha256",
                row.id,
            )?,
            batch: None,
            references: Vec::new(),
            review: None,
            reason: row.reason,
        })
    }
}
