//! What the trace of a request is made from, and where it is once it is stored.

use std::{collections::HashMap, sync::Arc};

use atelier_domain::{Job, JobState};
use atelier_proto::{
    ArtifactRef, JobId, RequestId, TraceContext,
    http::{Cost, SubmitRequest, UploadedReference},
    job::JobKind,
    review::{Action, Decision, OutcomeMark},
    trace::{Trace, TraceJob},
};
use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Detail, Store, StoreError, Written,
    clock::rounded_ms,
    history::{History, JobHistory},
    job_row::{self, JobRow},
    request_row::{self, RequestRow},
    unit::{Loaded, assemble},
    view::rfc3339,
};

/// A trace without what artifacts tell.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceOutline {
    /// The trace without plan, thought, and reviews.
    pub trace: Trace,
    /// The plan that was carried out.
    pub plan: Option<ArtifactRef>,
    /// Its jobs, in the order of the trace's.
    pub jobs: Vec<JobOutline>,
    /// The submitter's trace, if it brought one.
    pub brought: Option<TraceContext>,
    /// Remarks on how the request went.
    pub notes: Vec<String>,
}

/// What is known of a job beside what the outline has of it.
#[derive(Clone, Debug, PartialEq)]
pub struct JobOutline {
    /// The job.
    pub id: JobId,
    /// What its report told.
    pub detail: Option<Arc<Detail>>,
    /// The plan or review that it made, unless that has to be read.
    pub written: Option<Written>,
}

#[derive(FromRow)]
struct TracedRequest {
    #[sqlx(flatten)]
    request: RequestRow,
    model: String,
    created_us: i64,
    finished_ms: Option<i64>,
}

#[derive(FromRow)]
struct TracedJob {
    #[sqlx(flatten)]
    job: JobRow,
    ready_us: Option<i64>,
    ended_us: Option<i64>,
    detail: Option<String>,
}

/// Of the ways to ask for microseconds `date_part` is the one that does not go by numbers of any length; to a microsecond it is exact.
const SELECT_REQUESTS: &str = request_row::select!(
    ", model, (date_part('epoch', created_at) * 1000000)::bigint AS created_us,
       (date_part('epoch', finished_at) * 1000)::bigint AS finished_ms",
    " AND (trace_sha256 IS NULL OR NOT $2)"
);

/// One look into an index for all: in a join each request would have its own.
const SELECT_JOBS: &str = job_row::select!(
    ", (date_part('epoch', ready_at) * 1000000)::bigint AS ready_us,
       (date_part('epoch', finished_at) * 1000000)::bigint AS ended_us, detail::text AS detail",
    ""
);

/// Of which requests outlines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    WithoutTrace,
}

impl Store {
    /// The outline of a request's trace, as far as it has come; none when there is no such request.
    pub async fn outline(&self, id: RequestId) -> Result<Option<TraceOutline>, StoreError> {
        Ok(self.read_outlines(&[id], Which::All).await?.pop())
    }

    /// Outlines of those requests that ended and have no trace yet: from memory where all of it is there.
    pub async fn outlines_of_ended(
        &self,
        ids: &[RequestId],
    ) -> Result<Vec<TraceOutline>, StoreError> {
        let mut outlines = Vec::with_capacity(ids.len());
        let mut others = Vec::new();
        for id in ids {
            let known = self.recent.get_ended(*id);
            match known.as_deref().and_then(Loaded::outline) {
                Some(outline) => outlines.push(outline),
                None => others.push(*id),
            }
        }
        let read = self.read_outlines(&others, Which::WithoutTrace).await?;
        let ended = read
            .into_iter()
            .filter(|outline| outline.trace.state.is_terminal());
        outlines.extend(ended);
        Ok(outlines)
    }

    async fn read_outlines(
        &self,
        ids: &[RequestId],
        which: Which,
    ) -> Result<Vec<TraceOutline>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = ids.iter().map(RequestId::as_uuid).collect();
        let requests: Vec<TracedRequest> = sqlx::query_as(SELECT_REQUESTS)
            .bind(&ids)
            .bind(which == Which::WithoutTrace)
            .fetch_all(&self.pool)
            .await?;
        let ids: Vec<Uuid> = requests.iter().map(|row| row.request.id).collect();
        let jobs: Vec<TracedJob> = sqlx::query_as(SELECT_JOBS)
            .bind(&ids)
            .fetch_all(&self.pool)
            .await?;
        let mut histories: HashMap<Uuid, History> = requests
            .iter()
            .map(|row| (row.request.id, row.history()))
            .collect();
        for row in &jobs {
            if let Some(history) = histories.get_mut(&row.job.request_id) {
                history.jobs.push(row.history());
            }
        }
        let finished: Vec<Option<i64>> = requests.iter().map(|row| row.finished_ms).collect();
        let requests = requests.into_iter().map(|row| row.request).collect();
        let jobs = jobs.into_iter().map(|row| row.job).collect();
        let mut outlines = Vec::with_capacity(finished.len());
        for (mut loaded, finished_ms) in assemble(requests, jobs)?.into_iter().zip(finished) {
            loaded.finished_ms = finished_ms;
            loaded.history = histories.remove(&loaded.request.id.as_uuid());
            outlines.extend(loaded.outline());
        }
        Ok(outlines)
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
        self.recent.forget_ended(traces.iter().map(|(id, _)| *id));
        Ok(first.into_iter().map(RequestId::from_uuid).collect())
    }
}

impl TracedRequest {
    /// Without its jobs.
    fn history(&self) -> History {
        History {
            model: self.model.as_str().into(),
            created_us: self.created_us,
            jobs: Vec::new(),
        }
    }
}

impl TracedJob {
    fn detail(&self) -> Option<Arc<Detail>> {
        let read = serde_json::from_str(self.detail.as_deref()?);
        read.inspect_err(|error| {
            tracing::warn!(job = %self.job.id(), %error, "a job's detail cannot be read");
        })
        .ok()
    }

    fn history(&self) -> JobHistory {
        JobHistory {
            ready_us: self.ready_us,
            ended_us: self.ended_us,
            worker: self.job.worker(),
            device_ms: self.job.device_ms(),
            detail: self.detail(),
            written: None,
        }
    }
}

impl Loaded {
    /// The outline of its trace; none where the history is not known.
    fn outline(&self) -> Option<TraceOutline> {
        let Self { request, spec, .. } = self;
        let history = self.history.as_ref()?;
        let state = request.state.kind();
        let score = request.best.and_then(|best| best.score);
        let mut decisions = request.decisions.clone();
        let outcome = OutcomeMark::of(state, score, &decisions);
        if let (Some(OutcomeMark::Accepted), Some(best)) = (&outcome, &request.best) {
            decisions.push(Decision {
                round: best.round,
                action: Action::Accept,
                reason: "no check failed".into(),
                checks: Vec::new(),
            });
        }
        let seconds = |ms: Option<u64>| ms.map(|ms| ms as f64 / 1_000.0);
        let jobs = request.jobs.iter().zip(&history.jobs);
        let trace = Trace {
            version: 1,
            request: request.id,
            submitted: SubmitRequest {
                prompt: spec.prompt.clone(),
                seed: Some(request.seed),
                think: spec.think,
                think_tokens: spec.think_tokens,
                priority: spec.priority,
                steps: spec.steps,
                size: spec.size,
                max_rounds: Some(request.max_rounds),
                references: spec
                    .pictures
                    .iter()
                    .map(|named| UploadedReference {
                        name: named.name.clone(),
                        data: String::new(),
                    })
                    .collect(),
                candidates: (request.candidates > 1).then_some(request.candidates),
                max_time_s: seconds(request.limits.time_ms),
                max_cost_s: seconds(request.limits.cost_ms),
                plan: None,
                plan_only: request.plan_only,
                webhook: None,
                cache: spec.keep_for.is_none().then_some(false),
            },
            seed: request.seed,
            model: history.model.to_string(),
            state,
            reason: request.state.reason().map(str::to_owned),
            image: request.best.map(|best| best.image),
            pictures: spec.pictures.clone(),
            plan: None,
            plan_artifact: None,
            earlier_plans: Vec::new(),
            thought: None,
            jobs: jobs
                .map(|(job, of)| self.job_outline(job, of, history.created_us))
                .collect(),
            cost: Cost::default(),
            created_at: rfc3339(self.created_ms),
            finished_at: self.finished_ms.map(rfc3339),
            outcome,
            decisions,
        };
        let told = request
            .jobs
            .iter()
            .zip(&history.jobs)
            .map(|(job, history)| JobOutline {
                id: job.id,
                detail: history.detail.clone(),
                written: history.written.clone(),
            });
        Some(TraceOutline {
            trace,
            plan: request.plan.map(|plan| plan.artifact),
            jobs: told.collect(),
            brought: spec.brought,
            notes: request.notes.clone(),
        })
    }

    fn job_outline(&self, job: &Job, history: &JobHistory, created_us: i64) -> TraceJob {
        // The clock may have been set back in between.
        let since =
            |us: Option<i64>| us.map(|us| rounded_ms(us - created_us).max(0).unsigned_abs());
        let (ready_ms, ended_ms) = (since(history.ready_us), since(history.ended_us));
        let read = self.request.pictures_read_by(job);
        TraceJob {
            kind: job.kind,
            round: job.round,
            stage: job.stage.as_ref().map(|stage| stage.id.clone()),
            op: job.stage.as_ref().map(|stage| stage.op.clone()),
            seed: (job.kind != JobKind::Critique).then_some(job.seed),
            steps: None,
            state: job.state.as_str().to_owned(),
            attempts: job.attempt,
            worker: history.worker.map(|worker| worker.to_string()),
            ready_ms,
            started_ms: None,
            ended_ms,
            wall_ms: ended_ms
                .zip(ready_ms)
                .map(|(ended, ready)| ended.saturating_sub(ready)),
            device_ms: history.device_ms,
            artifact: match &job.state {
                JobState::Done(output) => Some(output.artifact()),
                _ => None,
            },
            batch: None,
            size: None,
            made: None,
            inputs: read.iter().map(|read| read.sha256).collect(),
            references: Vec::new(),
            review: None,
            reason: match &job.state {
                JobState::Failed { reason } => Some(reason.clone()),
                _ => None,
            },
            candidate: (job.candidate > 1).then_some(job.candidate),
            fix: job.repair.as_ref().map(|repair| repair.fix.clone()),
            kept: None,
        }
    }
}
