//! What the trace of a request is made from, and where it is once it is stored.

use std::collections::HashMap;

use atelier_proto::{
    ArtifactRef, JobId, MediaType, RequestId, TraceContext,
    http::{Cost, SubmitRequest, UploadedReference},
    job::{JobKind, NamedReference, Priority},
    review::{Action, Decision, OutcomeMark},
    trace::{Trace, TraceJob},
};
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Store, StoreError,
    job_row::RepairColumn,
    request_row::{artifact, score, size, state, think},
    view::{kind, rfc3339},
};

/// A trace as far as rows tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceRows {
    /// The trace without plan, thought, and reviews.
    pub trace: Trace,
    /// The plan that was carried out.
    pub plan: Option<ArtifactRef>,
    /// What each job's report told beside its outcome, as JSON, in the order of the trace's jobs.
    pub details: Vec<Option<String>>,
    /// Its jobs, in the order of the trace's.
    pub jobs: Vec<JobId>,
    /// The submitter's trace, if it brought one.
    pub brought: Option<TraceContext>,
    /// Remarks on how the request went.
    pub notes: Vec<String>,
}

#[derive(FromRow)]
struct HeadRow {
    id: Uuid,
    model: String,
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
    candidates: i16,
    max_time_ms: Option<i64>,
    max_cost_ms: Option<i64>,
    image_round: Option<i16>,
    score_pass: Option<i32>,
    score_fail: Option<i32>,
    score_unknown: Option<i32>,
    decisions: Option<Json<Vec<Decision>>>,
    pictures: Json<Vec<NamedReference>>,
    use_cache: bool,
    state: String,
    reason: Option<String>,
    plan_sha256: Option<Vec<u8>>,
    plan_bytes: Option<i64>,
    image_sha256: Option<Vec<u8>>,
    image_bytes: Option<i64>,
    notes: Vec<String>,
    traceparent: Option<String>,
    created_us: i64,
    finished_ms: Option<i64>,
}

#[derive(FromRow)]
struct JobRow {
    id: Uuid,
    request_id: Uuid,
    position: i16,
    kind: String,
    round: i16,
    candidate: i16,
    repair: Option<Json<RepairColumn>>,
    stage: Option<String>,
    op: Option<String>,
    seed: i64,
    state: String,
    attempt: i32,
    worker_id: Option<Uuid>,
    input_pictures: Json<Vec<ArtifactRef>>,
    ready_us: Option<i64>,
    ended_us: Option<i64>,
    device_ms: Option<i64>,
    artifact_sha256: Option<Vec<u8>>,
    artifact_bytes: Option<i64>,
    reason: Option<String>,
    detail: Option<String>,
}

impl Store {
    /// Everything that rows tell of requests; those that do not exist are left out, and if `missing` those that have a trace already.
    pub async fn trace_rows(
        &self,
        ids: &[RequestId],
        missing: bool,
    ) -> Result<Vec<TraceRows>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(RequestId::as_uuid).collect();
        let heads: Vec<HeadRow> = sqlx::query_as(
            "SELECT id, model, prompt, seed, think, think_tokens, priority, steps, width, height, max_rounds, plan_only, pictures, use_cache, state, reason,
                    plan_sha256, plan_bytes, image_sha256, image_bytes, notes, traceparent, candidates, max_time_ms, max_cost_ms,
                    image_round, score_pass, score_fail, score_unknown, decisions,
                    (date_part('epoch', created_at) * 1000000)::bigint AS created_us,
                    (date_part('epoch', finished_at) * 1000)::bigint AS finished_ms
             FROM requests WHERE id = ANY($1) AND (trace_sha256 IS NULL OR NOT $2)",
        )
        .bind(&ids)
        .bind(missing)
        .fetch_all(&self.pool)
        .await?;
        let ids: Vec<Uuid> = heads.iter().map(|head| head.id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let jobs: Vec<JobRow> = sqlx::query_as(
            // One look into an index for all: in a join each request would have its own, and every time sort all ids. Neither are these wide rows sorted there. Of the ways
            // to ask for microseconds `date_part` is the one that does not go by numbers of any length; to a microsecond it is exact.
            "SELECT id, request_id, position, kind, round, candidate, repair, stage, op, seed, state, attempt, worker_id, input_pictures,
                    (date_part('epoch', ready_at) * 1000000)::bigint AS ready_us,
                    (date_part('epoch', finished_at) * 1000000)::bigint AS ended_us,
                    device_ms, artifact_sha256, artifact_bytes, reason, detail::text AS detail
             FROM jobs WHERE request_id = ANY($1)",
        )
        .bind(&ids)
        .fetch_all(&self.pool)
        .await?;
        let mut of_request: HashMap<Uuid, Vec<JobRow>> = HashMap::new();
        for job in jobs {
            of_request.entry(job.request_id).or_default().push(job);
        }
        heads
            .into_iter()
            .map(|head| {
                let mut jobs = of_request.remove(&head.id).unwrap_or_default();
                jobs.sort_unstable_by_key(|job| job.position);
                let details = jobs.iter_mut().map(|job| job.detail.take()).collect();
                let ids = jobs.iter().map(|job| JobId::from_uuid(job.id)).collect();
                let jobs = jobs
                    .into_iter()
                    .map(|job| job.into_job(head.created_us))
                    .collect::<Result<_, _>>()?;
                head.into_rows(jobs, ids, details)
            })
            .collect()
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

    /// Writes down where the trace of a request is by now, unless another one took the place of `lost` meanwhile.
    pub async fn replace_trace(
        &self,
        id: RequestId,
        lost: &ArtifactRef,
        trace: &ArtifactRef,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE requests SET trace_sha256 = $3, trace_bytes = $4 WHERE id = $1 AND trace_sha256 = $2",
        )
        .bind(id.as_uuid())
        .bind(lost.sha256.0.as_slice())
        .bind(trace.sha256.0.as_slice())
        .bind(trace.bytes.cast_signed())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Writes down where the traces of requests are. The first one counts; returns the requests of which these were it.
    pub async fn record_traces(
        &self,
        traces: &[(RequestId, ArtifactRef)],
    ) -> Result<Vec<RequestId>, StoreError> {
        let ids: Vec<Uuid> = traces.iter().map(|(id, _)| id.as_uuid()).collect();
        let digests: Vec<&[u8]> = traces
            .iter()
            .map(|(_, trace)| trace.sha256.0.as_slice())
            .collect();
        let lengths: Vec<i64> = traces
            .iter()
            .map(|(_, trace)| trace.bytes.cast_signed())
            .collect();
        let first: Vec<Uuid> = sqlx::query_scalar(
            // A row that somebody holds is left out: two that lock many in different orders would wait for each other. Here, too, one look into an index
            // for all.
            "WITH ended AS (
                SELECT id FROM requests
                WHERE id = ANY($1) AND state <> 'active' AND trace_sha256 IS NULL
                FOR UPDATE SKIP LOCKED
            )
            UPDATE requests
            SET trace_sha256 = ($2::bytea[])[array_position($1::uuid[], id)], trace_bytes = ($3::bigint[])[array_position($1::uuid[], id)]
            WHERE id = ANY(ARRAY(SELECT id FROM ended))
            RETURNING id",
        )
        .bind(&ids)
        .bind(&digests)
        .bind(&lengths)
        .fetch_all(&self.pool)
        .await?;
        Ok(first.into_iter().map(RequestId::from_uuid).collect())
    }
}

impl HeadRow {
    fn into_rows(
        self,
        jobs: Vec<TraceJob>,
        ids: Vec<JobId>,
        details: Vec<Option<String>>,
    ) -> Result<TraceRows, StoreError> {
        let row = self.id;
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
        let state = state(&self.state, None, row)?.kind();
        let score = score(self.score_pass, self.score_fail, self.score_unknown);
        let mut decisions = self.decisions.map(|made| made.0).unwrap_or_default();
        let outcome = OutcomeMark::of(state, score, &decisions);
        if let (Some(OutcomeMark::Accepted), Some(round)) = (&outcome, self.image_round) {
            decisions.push(Decision {
                round: u32::from(round.unsigned_abs()),
                action: Action::Accept,
                reason: "no check failed".into(),
                checks: Vec::new(),
            });
        }
        let seconds = |ms: Option<i64>| ms.map(|ms| ms as f64 / 1_000.0);
        let trace = Trace {
            version: 1,
            request: RequestId::from_uuid(row),
            submitted: SubmitRequest {
                prompt: self.prompt,
                seed: Some(self.seed.cast_unsigned()),
                think: think(&self.think),
                think_tokens: self.think_tokens.map(i32::unsigned_abs),
                priority,
                steps: self.steps.map(i32::unsigned_abs),
                size: size(self.width, self.height),
                max_rounds: Some(u32::from(self.max_rounds.unsigned_abs())),
                references: self
                    .pictures
                    .0
                    .iter()
                    .map(|named| UploadedReference {
                        name: named.name.clone(),
                        data: String::new(),
                    })
                    .collect(),
                candidates: (self.candidates > 1)
                    .then_some(u32::from(self.candidates.unsigned_abs())),
                max_time_s: seconds(self.max_time_ms),
                max_cost_s: seconds(self.max_cost_ms),
                plan: None,
                plan_only: self.plan_only,
                webhook: None,
                cache: (!self.use_cache).then_some(false),
            },
            seed: self.seed.cast_unsigned(),
            model: self.model,
            state,
            reason: self.reason,
            image,
            pictures: self.pictures.0,
            plan: None,
            plan_artifact: None,
            earlier_plans: Vec::new(),
            thought: None,
            jobs,
            cost: Cost::default(),
            created_at: rfc3339(rounded_ms(self.created_us)),
            finished_at: self.finished_ms.map(rfc3339),
            outcome,
            decisions,
        };
        Ok(TraceRows {
            trace,
            plan,
            details,
            jobs: ids,
            brought: self.traceparent.and_then(|text| text.parse().ok()),
            notes: self.notes,
        })
    }
}

/// Microseconds as milliseconds.
fn rounded_ms(us: i64) -> i64 {
    (us + 500).div_euclid(1_000)
}

impl JobRow {
    /// A job of a request that was created at this time.
    fn into_job(self, created_us: i64) -> Result<TraceJob, StoreError> {
        let kind = kind(&self.kind, self.id)?;
        let media_type = match kind {
            JobKind::Render => MediaType::Png,
            JobKind::Plan | JobKind::Critique => MediaType::Json,
        };
        // The clock may have been set back in between.
        let since =
            |us: Option<i64>| us.map(|us| rounded_ms(us - created_us).max(0).unsigned_abs());
        let (ready_ms, ended_ms) = (since(self.ready_us), since(self.ended_us));
        Ok(TraceJob {
            kind,
            round: u32::from(self.round.unsigned_abs()),
            stage: self.stage,
            op: self.op,
            seed: (kind != JobKind::Critique).then_some(self.seed.cast_unsigned()),
            steps: None,
            state: self.state,
            attempts: self.attempt.unsigned_abs(),
            worker: self.worker_id.map(|worker| worker.to_string()),
            ready_ms,
            started_ms: None,
            ended_ms,
            wall_ms: ended_ms
                .zip(ready_ms)
                .map(|(ended, ready)| ended.saturating_sub(ready)),
            device_ms: self.device_ms.map(i64::unsigned_abs),
            artifact: artifact(
                self.artifact_sha256.as_deref(),
                self.artifact_bytes,
                media_type,
                "jobs",
                "artifact_sha256",
                self.id,
            )?,
            batch: None,
            size: None,
            made: None,
            inputs: self
                .input_pictures
                .0
                .iter()
                .map(|read| read.sha256)
                .collect(),
            references: Vec::new(),
            review: None,
            reason: self.reason,
            candidate: (self.candidate > 1).then_some(u32::from(self.candidate.unsigned_abs())),
            fix: self.repair.map(|column| column.0.fix),
            kept: None,
        })
    }
}
