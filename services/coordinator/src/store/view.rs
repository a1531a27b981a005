//! Reading requests for people.

use atelier_domain::{Job, JobState};
use atelier_proto::{
    ArtifactRef, MediaType, RequestId, TenantId, TraceContext,
    http::{Cost, JobView, RequestList, RequestState, RequestSummary, RequestView},
    job::JobKind,
    review::{Decision, OutcomeMark},
};
use serde::Deserialize;
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Store, StoreError,
    request_row::{artifact, score, state},
    unit::Loaded,
};

/// How many jobs of a kind are in a state.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct JobCount {
    /// The kind.
    pub kind: String,
    /// The state.
    pub state: String,
    /// Their priority.
    pub priority: String,
    /// How many.
    pub jobs: i64,
    /// Seconds since the oldest of them became ready; 0 of jobs that are dispatched.
    pub oldest_s: f64,
}

/// Which requests are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<RequestState>,
    /// Only those older than this one.
    pub before: Option<RequestId>,
}

/// Where a request stands, and its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Where it stands.
    pub state: RequestState,
    /// The picture.
    pub image: Option<ArtifactRef>,
    /// The trace, once it is stored.
    pub trace: Option<ArtifactRef>,
}

#[derive(FromRow)]
struct ViewRow {
    prompt: String,
    state: String,
    reason: Option<String>,
    seed: i64,
    round: i16,
    image_sha256: Option<Vec<u8>>,
    image_bytes: Option<i64>,
    score_pass: Option<i32>,
    score_fail: Option<i32>,
    score_unknown: Option<i32>,
    created_ms: i64,
    finished_ms: Option<i64>,
    decisions: Option<Json<Vec<Decision>>>,
    jobs: Json<Vec<JobInView>>,
}

#[derive(Deserialize)]
struct JobInView {
    #[serde(flatten)]
    view: JobView,
    device_ms: Option<u64>,
    repairs: bool,
}

#[derive(FromRow)]
struct SummaryRow {
    id: Uuid,
    prompt: String,
    state: String,
    image_sha256: Option<Vec<u8>>,
    image_bytes: Option<i64>,
    score_pass: Option<i32>,
    score_fail: Option<i32>,
    score_unknown: Option<i32>,
    created_ms: i64,
}

#[derive(FromRow)]
struct EndedRow {
    state: String,
    image_sha256: Option<Vec<u8>>,
    image_bytes: Option<i64>,
    trace_sha256: Option<Vec<u8>>,
    trace_bytes: Option<i64>,
}

/// RFC 3339 text of a time in milliseconds since 1970.
pub fn rfc3339(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

/// A job as people see it.
pub fn job_view(job: &Job) -> JobView {
    JobView {
        kind: job.kind,
        stage: job.stage.as_ref().map(|stage| stage.id.clone()),
        round: job.round,
        candidate: job.candidate,
        state: job.state.as_str().to_owned(),
        attempt: job.attempt,
        reason: match &job.state {
            JobState::Failed { reason } => Some(reason.clone()),
            _ => None,
        },
    }
}

/// A kind from its column.
pub(super) fn kind(word: &str, row: Uuid) -> Result<JobKind, StoreError> {
    word.parse().map_err(|reason| StoreError::Row {
        table: "jobs",
        column: "kind",
        row,
        reason,
    })
}

impl Store {
    /// A request of a tenant with its jobs; none when the tenant has no such request. What it waits for is left open.
    pub async fn view(
        &self,
        tenant: TenantId,
        id: RequestId,
    ) -> Result<Option<RequestView>, StoreError> {
        let known = match self.recent.get_ended(id) {
            None if self.goes_on(id) => self.recent.get(id),
            ended => ended,
        };
        if let Some(known) = known {
            return Ok((known.tenant == tenant.as_uuid()).then(|| known.view()));
        }
        // One statement sees one moment, so that request and jobs belong together.
        let row: Option<ViewRow> = sqlx::query_as(
            "SELECT prompt, state, reason, seed, round, image_sha256, image_bytes, score_pass, score_fail, score_unknown, decisions,
                    (extract(epoch FROM created_at) * 1000)::bigint AS created_ms,
                    (extract(epoch FROM finished_at) * 1000)::bigint AS finished_ms,
                    (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', j.kind, 'stage', j.stage, 'round', j.round, 'state', j.state,
                                                                  'attempt', j.attempt, 'reason', j.reason, 'candidate', j.candidate,
                                                                  'device_ms', j.device_ms, 'repairs', j.repair IS NOT NULL) ORDER BY j.position), '[]')
                     FROM jobs j WHERE j.request_id = r.id) AS jobs
             FROM requests r WHERE id = $1 AND tenant_id = $2",
        )
        .bind(id.as_uuid())
        .bind(tenant.as_uuid())
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| row.into_view(id)).transpose()
    }

    /// Whether it is sure that a request has not ended: while nobody else writes, what is in memory is what is in the database.
    pub fn goes_on(&self, id: RequestId) -> bool {
        !self.others() && self.recent.is_active(id)
    }

    /// A page of a tenant's requests, newest first.
    pub async fn list(
        &self,
        tenant: TenantId,
        filter: Filter,
        limit: u32,
    ) -> Result<RequestList, StoreError> {
        let states: Vec<&str> = RequestState::ALL
            .into_iter()
            .filter(|state| filter.state.is_none_or(|wanted| wanted == *state))
            .map(RequestState::as_str)
            .collect();
        let before = filter.before.map_or(Uuid::max(), |id| id.as_uuid());
        let rows: Vec<SummaryRow> = sqlx::query_as(
            // The index has the newest of each state; a page is merged from them. The order by a tenant that is not known to be one keeps the
            // planner from walking the primary key instead, past everything that ended otherwise.
            "SELECT page.*
             FROM unnest($2::text[]) AS wanted(state)
             CROSS JOIN LATERAL (
                 SELECT id, prompt, state, image_sha256, image_bytes, score_pass, score_fail, score_unknown,
                        (extract(epoch FROM created_at) * 1000)::bigint AS created_ms
                 FROM requests
                 WHERE tenant_id = ANY($1) AND state = wanted.state AND id < $3
                 ORDER BY tenant_id, id DESC
                 LIMIT $4
             ) AS page
             ORDER BY id DESC
             LIMIT $4",
        )
        .bind([tenant.as_uuid()])
        .bind(&states)
        .bind(before)
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.pool)
        .await?;
        let more = rows.len() > limit as usize;
        let requests = rows
            .into_iter()
            .take(limit as usize)
            .map(|row| {
                Ok(RequestSummary {
                    id: RequestId::from_uuid(row.id),
                    prompt: row.prompt,
                    state: state(&row.state, None, row.id)?.kind(),
                    image: artifact(
                        row.image_sha256.as_deref(),
                        row.image_bytes,
                        MediaType::Png,
                        "requests",
                        "image_sha256",
                        row.id,
                    )?,
                    score: score(row.score_pass, row.score_fail, row.score_unknown),
                    created_at: rfc3339(row.created_ms),
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let next = requests.last().map(|last| last.id).filter(|_| more);
        Ok(RequestList { requests, next })
    }

    /// Whether a tenant has such a request.
    pub async fn has(&self, tenant: TenantId, id: RequestId) -> Result<bool, StoreError> {
        let found: Option<i32> =
            sqlx::query_scalar("SELECT 1 FROM requests WHERE id = $1 AND tenant_id = $2")
                .bind(id.as_uuid())
                .bind(tenant.as_uuid())
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.is_some())
    }

    /// State and files of a request of a tenant; none when the tenant has no such request.
    pub async fn files(
        &self,
        tenant: TenantId,
        id: RequestId,
    ) -> Result<Option<Ended>, StoreError> {
        let row: Option<EndedRow> = sqlx::query_as(
            "SELECT state, image_sha256, image_bytes, trace_sha256, trace_bytes FROM requests
             WHERE id = $1 AND tenant_id = $2",
        )
        .bind(id.as_uuid())
        .bind(tenant.as_uuid())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let id = id.as_uuid();
        let file = |digest: Option<&[u8]>, bytes, media_type, column| {
            artifact(digest, bytes, media_type, "requests", column, id)
        };
        Ok(Some(Ended {
            state: state(&row.state, None, id)?.kind(),
            image: file(
                row.image_sha256.as_deref(),
                row.image_bytes,
                MediaType::Png,
                "image_sha256",
            )?,
            trace: file(
                row.trace_sha256.as_deref(),
                row.trace_bytes,
                MediaType::Json,
                "trace_sha256",
            )?,
        }))
    }

    /// The plan that a request of a tenant carries out, or carried out; none while there is none.
    pub async fn plan(
        &self,
        tenant: TenantId,
        id: RequestId,
    ) -> Result<Option<ArtifactRef>, StoreError> {
        let row: Option<(Option<Vec<u8>>, Option<i64>)> = sqlx::query_as(
            "SELECT plan_sha256, plan_bytes FROM requests WHERE id = $1 AND tenant_id = $2",
        )
        .bind(id.as_uuid())
        .bind(tenant.as_uuid())
        .fetch_optional(&self.pool)
        .await?;
        let (digest, bytes) = row.unwrap_or_default();
        let id = id.as_uuid();
        artifact(
            digest.as_deref(),
            bytes,
            MediaType::Json,
            "requests",
            "plan_sha256",
            id,
        )
    }

    /// The span of a request that there is.
    pub async fn trace_context(&self, id: RequestId) -> Result<TraceContext, StoreError> {
        let brought: Option<Option<String>> =
            sqlx::query_scalar("SELECT traceparent FROM requests WHERE id = $1")
                .bind(id.as_uuid())
                .fetch_optional(&self.pool)
                .await?;
        let brought = brought.flatten().and_then(|text| text.parse().ok());
        Ok(TraceContext::of_request(id, brought))
    }

    /// How many jobs that are not over stand where.
    pub async fn count_jobs(&self) -> Result<Vec<JobCount>, StoreError> {
        Ok(sqlx::query_as(
            // Apart, because each state has an index of its own.
            "SELECT kind, priority, 'ready' AS state, count(*) AS jobs,
                    coalesce(extract(epoch FROM clock_timestamp() - min(ready_at)), 0)::float8 AS oldest_s
             FROM jobs WHERE state = 'ready' GROUP BY kind, priority
             UNION ALL
             SELECT kind, priority, 'dispatched', count(*), 0 FROM jobs WHERE state = 'dispatched' GROUP BY kind, priority",
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

impl Loaded {
    /// What the database would answer.
    fn view(&self) -> RequestView {
        let Self { request, spec, .. } = self;
        let state = request.state.kind();
        let score = request.best.and_then(|best| best.score);
        RequestView {
            id: request.id,
            prompt: spec.prompt.clone(),
            state,
            reason: request.state.reason().map(str::to_owned),
            seed: request.seed,
            round: request.round,
            image: request.best.map(|best| best.image),
            score,
            outcome: OutcomeMark::of(state, score, &request.decisions),
            decisions: request.decisions.clone(),
            cost: request.cost(),
            jobs: request.jobs.iter().map(job_view).collect(),
            waiting_for: Vec::new(),
            created_at: rfc3339(self.created_ms),
            finished_at: self.finished_ms.map(rfc3339),
        }
    }
}

impl ViewRow {
    fn into_view(self, id: RequestId) -> Result<RequestView, StoreError> {
        let row = id.as_uuid();
        let state = state(&self.state, None, row)?.kind();
        let score = score(self.score_pass, self.score_fail, self.score_unknown);
        let decisions = self.decisions.map(|made| made.0).unwrap_or_default();
        let mut cost = Cost::default();
        for job in &self.jobs.0 {
            cost.add(job.view.kind, job.repairs, job.device_ms.unwrap_or(0));
        }
        Ok(RequestView {
            id,
            prompt: self.prompt,
            state,
            reason: self.reason,
            seed: self.seed.cast_unsigned(),
            round: u32::from(self.round.unsigned_abs()),
            image: artifact(
                self.image_sha256.as_deref(),
                self.image_bytes,
                MediaType::Png,
                "requests",
                "image_sha256",
                row,
            )?,
            score,
            outcome: OutcomeMark::of(state, score, &decisions),
            decisions,
            cost,
            jobs: self.jobs.0.into_iter().map(|job| job.view).collect(),
            waiting_for: Vec::new(),
            created_at: rfc3339(self.created_ms),
            finished_at: self.finished_ms.map(rfc3339),
        })
    }
}
