//! Taking ready jobs to be published, and giving them back when that failed.

use std::collections::HashMap;

use atelier_domain::JobState;
use atelier_proto::{
    ArtifactRef, JobId, MediaType, RequestId, TenantId, TraceContext, WorkerId,
    job::{CritiqueWork, JobKind, JobOffer, NamedReference, PlanWork, Priority, RenderWork, Work},
    review::Findings,
};
use sqlx::{FromRow, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

use super::{
    Store, StoreError,
    job_row::RepairColumn,
    offer::offer,
    request_row::{artifact, priority, size, think},
    view::kind,
};

/// What waits of one kind: whether a job that becomes ready may be published at once without passing another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The kind.
    pub kind: JobKind,
    /// Some job could be dispatched.
    pub ready: bool,
    /// Jobs that are dispatched and in no worker's hands.
    pub queued: u32,
}

/// Most jobs of a kind that may be published without a worker's sign of life yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of plan jobs.
    pub plan: u32,
    /// Of render jobs.
    pub render: u32,
    /// Of critique jobs.
    pub critique: u32,
}

impl Room {
    /// Of jobs of one kind.
    pub const fn of(self, kind: JobKind) -> u32 {
        match kind {
            JobKind::Plan => self.plan,
            JobKind::Render => self.render,
            JobKind::Critique => self.critique,
        }
    }
}

/// A job that is marked dispatched and has to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// How urgent.
    pub priority: Priority,
    /// What to publish.
    pub offer: JobOffer,
    /// The request's span, for the envelope.
    pub trace: TraceContext,
}

/// What is read of a claimed job and its request.
#[derive(Debug, FromRow)]
struct ClaimedRow {
    id: Uuid,
    request_id: Uuid,
    kind: String,
    stage: Option<String>,
    seed: i64,
    attempt: i32,
    dead_workers: Vec<Uuid>,
    input_pictures: Json<Vec<ArtifactRef>>,
    repair: Option<Json<RepairColumn>>,
    findings: Option<Json<Findings>>,
    prompt: String,
    think: String,
    think_tokens: Option<i32>,
    priority: String,
    steps: Option<i32>,
    width: Option<i32>,
    height: Option<i32>,
    pictures: Json<Vec<NamedReference>>,
    plan_sha256: Option<Vec<u8>>,
    plan_bytes: Option<i64>,
    traceparent: Option<String>,
    tenant_id: Uuid,
    use_cache: bool,
}

/// `$1` lease in milliseconds, `$2`..`$4` room for plan, render and critique jobs, `$5` plans that may queue where they are paced. The order is that
/// of `atelier_domain::fair::Lane`.
const CLAIM: &str = "
    -- How many of each kind are queueing already, and the turn of the last.
    WITH queued AS (
        SELECT kind, count(*) AS jobs, max(fair_tag) AS last FROM jobs
        WHERE state = 'dispatched' AND worker_id IS NULL
        GROUP BY kind
    ),
    -- How many more there is room for.
    space AS (
        SELECT n.kind, coalesce(q.jobs, 0) AS queued, greatest(n.jobs - coalesce(q.jobs, 0), 0) AS free
        FROM (VALUES ('plan', $2::bigint), ('render', $3), ('critique', $4)) AS n(kind, jobs) LEFT JOIN queued q USING (kind)
    ),
    -- Plans that are paced go all the same before renders that queue when it is their turn.
    room AS (
        SELECT kind, queued,
               CASE WHEN kind = 'plan' AND queued + free > $5 THEN greatest($5 - queued, (
                   SELECT count(*) FROM (
                       SELECT FROM jobs
                       WHERE state = 'ready' AND kind = 'plan' AND not_before <= clock_timestamp()
                         AND fair_tag < (SELECT last FROM queued WHERE kind = 'render')
                       ORDER BY fair_tag
                       LIMIT space.free
                   ) AS first
               )) ELSE free END AS free
        FROM space
    ),
    -- The first of each kind by tag; jobs that another transaction holds are left to it.
    taken AS (
        SELECT head.id
        FROM room
        CROSS JOIN LATERAL (
            SELECT id FROM jobs
            WHERE state = 'ready' AND kind = room.kind AND not_before <= clock_timestamp()
            ORDER BY fair_tag, id
            LIMIT room.free
            FOR UPDATE SKIP LOCKED
        ) AS head
    ),
    -- Each claim begins the next attempt.
    claimed AS (
        UPDATE jobs
        SET state = 'dispatched', attempt = attempt + 1, not_before = NULL, worker_id = NULL,
            stream_epoch = NULL, stream_sequence = NULL,
            lease_until = clock_timestamp() + $1 * interval '1 millisecond'
        WHERE id = ANY (ARRAY(SELECT id FROM taken))
        RETURNING id, request_id, kind, attempt, fair_tag
    ),
    -- The smallest tag that waited, of all kinds.
    waiting AS (
        SELECT min(first.fair_tag) AS tag
        FROM (VALUES ('plan'), ('render'), ('critique')) AS k(kind)
        CROSS JOIN LATERAL (
            SELECT fair_tag FROM jobs WHERE state = 'ready' AND kind = k.kind ORDER BY fair_tag LIMIT 1
        ) AS first
    ),
    -- A clock that another coordinator is moving is left to it, so that nobody waits; the next claim makes up for it.
    clock AS (
        SELECT tag FROM fair_clock FOR UPDATE SKIP LOCKED
    ),
    moved AS (
        UPDATE fair_clock c SET tag = w.tag
        FROM waiting w
        WHERE c.tag < w.tag AND EXISTS (SELECT FROM clock) AND EXISTS (SELECT FROM claimed)
    )
    -- At least one row for each kind.
    SELECT room.kind AS of_kind, room.queued, room.free,
           -- Where there is room it shows in how many came.
           CASE WHEN room.free = 0 THEN EXISTS (
               SELECT FROM jobs j WHERE j.kind = room.kind AND j.state = 'ready' AND j.not_before <= clock_timestamp()
           ) END AS ready,
           c.id, c.request_id, c.attempt
    FROM room LEFT JOIN claimed c ON c.kind = room.kind
    ORDER BY c.fair_tag, c.id";

/// What is published of claimed jobs (`$1`) that are not in memory. One that was canceled meanwhile is over.
const DESCRIBE: &str = "
    SELECT j.id, j.request_id, j.kind, j.stage, j.seed, j.attempt, j.dead_workers, j.input_pictures, j.repair,
           -- Only another plan than the first is made of what was found.
           CASE WHEN j.kind = 'plan' AND j.round > 1 THEN r.findings END AS findings,
           r.prompt, r.think, r.think_tokens, r.priority, r.steps, r.width, r.height, r.pictures, r.plan_sha256, r.plan_bytes, r.traceparent,
           r.tenant_id, r.use_cache
    FROM jobs j JOIN requests r ON r.id = j.request_id
    WHERE j.id = ANY($1) AND j.state = 'dispatched'";

/// What came of a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Jobs that are marked now, in the order in which they are to be published.
    pub claimed: Vec<Claimed>,
    /// What is left of every kind.
    pub left: Vec<Backlog>,
}

/// One row: a claimed job, if there is one, and what was seen of its kind.
struct Row {
    seen: SeenRow,
    taken: Option<Taken>,
}

/// A job that a claim marked.
#[derive(Clone, Copy)]
struct Taken {
    job: JobId,
    request: RequestId,
    attempt: u32,
}

#[derive(FromRow)]
struct TakenRow {
    id: Uuid,
    request_id: Uuid,
    attempt: i32,
}

impl From<TakenRow> for Taken {
    fn from(row: TakenRow) -> Self {
        Self {
            job: JobId::from_uuid(row.id),
            request: RequestId::from_uuid(row.request_id),
            attempt: row.attempt.unsigned_abs(),
        }
    }
}

#[derive(FromRow)]
struct SeenRow {
    of_kind: String,
    queued: i64,
    free: i64,
    ready: Option<bool>,
}

impl<'r> FromRow<'r, PgRow> for Row {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let id: Option<Uuid> = row.try_get("id")?;
        Ok(Self {
            seen: SeenRow::from_row(row)?,
            taken: id
                .map(|_| TakenRow::from_row(row))
                .transpose()?
                .map(Taken::from),
        })
    }
}

impl SeenRow {
    /// What is left of the kind once `claimed` jobs of it are out of the way. As many as there was room for may not have been all.
    fn left(&self, claimed: i64) -> Result<Backlog, StoreError> {
        Ok(Backlog {
            kind: kind(&self.of_kind, Uuid::nil())?,
            ready: self.ready.unwrap_or(claimed >= self.free),
            queued: u32::try_from(self.queued + claimed).unwrap_or(u32::MAX),
        })
    }
}

impl Store {
    /// Marks ready jobs as dispatched for `lease_ms`, within `room`; of plans only so many that `paced` queue, unless it is their turn before renders
    /// that queue. Once this returns they have to be published. Costs what is queued and what is claimed, not what waits.
    pub async fn claim(
        &self,
        room: Room,
        paced: Option<u32>,
        lease_ms: u64,
    ) -> Result<Claim, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(CLAIM)
            .bind(lease_ms.cast_signed())
            .bind(i64::from(room.plan))
            .bind(i64::from(room.render))
            .bind(i64::from(room.critique))
            .bind(paced.map_or(i64::MAX, i64::from))
            .fetch_all(&self.pool)
            .await?;
        let mut seen: Vec<(SeenRow, i64)> = Vec::new();
        let mut taken = Vec::new();
        for row in rows {
            let new = i64::from(row.taken.is_some());
            match seen
                .iter_mut()
                .find(|(of, _)| of.of_kind == row.seen.of_kind)
            {
                Some((_, count)) => *count += new,
                None => seen.push((row.seen, new)),
            }
            taken.extend(row.taken);
        }
        let left = seen.iter().map(|(seen, claimed)| seen.left(*claimed));
        let left = left.collect::<Result<_, _>>()?;
        let claimed = self.describe(&taken, lease_ms).await?;
        self.note_claimed(&claimed);
        Ok(Claim { claimed, left })
    }

    /// What is to be published of jobs that were just marked, in their order: from memory where they are there. After an error they are ready again, or
    /// run out their leases.
    async fn describe(&self, taken: &[Taken], lease_ms: u64) -> Result<Vec<Claimed>, StoreError> {
        let known: Vec<Option<Claimed>> = taken
            .iter()
            .map(|taken| self.recall_claimed(taken, lease_ms))
            .collect();
        let unknown = taken
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none());
        let unknown: Vec<Uuid> = unknown.map(|(taken, _)| taken.job.as_uuid()).collect();
        let mut read = match self.read_claimed(&unknown, lease_ms).await {
            Ok(read) => read,
            Err(error) => {
                let jobs: Vec<_> = taken.iter().map(|one| (one.job, one.attempt)).collect();
                if let Err(error) = self.unclaim(&jobs, 0).await {
                    tracing::warn!(%error, "claimed jobs run out their leases");
                }
                return Err(error);
            }
        };
        let claimed = taken.iter().zip(known).filter_map(|(taken, known)| {
            known.or_else(|| {
                let read = read.remove(&taken.job)?;
                (read.offer.attempt == taken.attempt).then_some(read)
            })
        });
        Ok(claimed.collect())
    }

    /// A job that was just marked, of a request in memory that nobody else changed.
    fn recall_claimed(&self, taken: &Taken, lease_ms: u64) -> Option<Claimed> {
        let known = self.recent.get(taken.request).filter(|_| !self.others())?;
        let mut job = known.request.job(taken.job)?.clone();
        let is_it = matches!(job.state, JobState::Ready { .. }) && job.attempt + 1 == taken.attempt;
        job.attempt = taken.attempt;
        let offer = || offer(&known.request, &job, &known.spec, lease_ms).ok();
        is_it.then(offer).flatten()
    }

    async fn read_claimed(
        &self,
        ids: &[Uuid],
        lease_ms: u64,
    ) -> Result<HashMap<JobId, Claimed>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<ClaimedRow> = sqlx::query_as(DESCRIBE)
            .bind(ids)
            .fetch_all(&self.pool)
            .await?;
        let claimed = rows.into_iter().map(|row| {
            let claimed = row.into_claimed(lease_ms)?;
            Ok((claimed.offer.job, claimed))
        });
        claimed.collect()
    }

    /// Makes jobs ready again whose publishing failed, not before `delay_ms` have passed. Those that moved on meanwhile are left alone.
    pub async fn unclaim(&self, jobs: &[(JobId, u32)], delay_ms: u64) -> Result<u64, StoreError> {
        let ids: Vec<Uuid> = jobs.iter().map(|(job, _)| job.as_uuid()).collect();
        let attempts: Vec<i32> = jobs
            .iter()
            .map(|(_, attempt)| attempt.cast_signed())
            .collect();
        let done = sqlx::query(
            "WITH unpublished AS (
                SELECT j.id
                FROM jobs j JOIN unnest($1::uuid[], $2::integer[]) AS n(id, attempt)
                  ON j.id = n.id AND j.attempt = n.attempt
                WHERE j.id = ANY($1) AND j.state = 'dispatched' AND j.worker_id IS NULL
                FOR UPDATE OF j SKIP LOCKED
            )
            UPDATE jobs j
            SET state = 'ready', lease_until = NULL,
                not_before = clock_timestamp() + $3 * interval '1 millisecond'
            FROM unpublished
            WHERE j.id = ANY($1) AND j.id = unpublished.id",
        )
        .bind(&ids)
        .bind(&attempts)
        .bind(delay_ms.cast_signed())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

impl ClaimedRow {
    fn wrong(&self, table: &'static str, column: &'static str, reason: &str) -> StoreError {
        StoreError::Row {
            table,
            column,
            row: self.id,
            reason: reason.to_owned(),
        }
    }

    fn into_claimed(self, lease_ms: u64) -> Result<Claimed, StoreError> {
        let kind: JobKind = self
            .kind
            .parse()
            .map_err(|reason: String| self.wrong("jobs", "kind", &reason))?;
        let priority = priority(&self.priority, self.request_id)?;
        let offer = JobOffer {
            job: JobId::from_uuid(self.id),
            attempt: self.attempt.unsigned_abs(),
            request: RequestId::from_uuid(self.request_id),
            lease_ms,
            avoid: self
                .dead_workers
                .iter()
                .copied()
                .map(WorkerId::from_uuid)
                .collect(),
            alone: !self.dead_workers.is_empty(),
            work: self.work(kind)?,
        };
        let brought = self
            .traceparent
            .as_deref()
            .and_then(|text| text.parse().ok());
        let trace = TraceContext::of_request(offer.request, brought);
        Ok(Claimed {
            priority,
            offer,
            trace,
        })
    }

    fn work(&self, kind: JobKind) -> Result<Work, StoreError> {
        let plan = || {
            artifact(
                self.plan_sha256.as_deref(),
                self.plan_bytes,
                MediaType::Json,
                "requests",
                "plan_sha256",
                self.request_id,
            )?
            .ok_or_else(|| self.wrong("requests", "plan_sha256", "is null"))
        };
        let seed = self.seed.cast_unsigned();
        Ok(match kind {
            JobKind::Plan => Work::Plan(PlanWork {
                prompt: self.prompt.clone(),
                seed,
                references: self.pictures.0.clone(),
                findings: self
                    .findings
                    .as_ref()
                    .map(|found| found.sentences.clone())
                    .unwrap_or_default(),
                keep_for: self.use_cache.then(|| TenantId::from_uuid(self.tenant_id)),
                think: think(&self.think),
                think_tokens: self.think_tokens.map(i32::unsigned_abs),
            }),
            JobKind::Render => Work::Render(RenderWork {
                plan: plan()?,
                stage: self
                    .stage
                    .clone()
                    .ok_or_else(|| self.wrong("jobs", "stage", "is null"))?,
                seed,
                steps: self.steps.map(i32::unsigned_abs),
                size: size(self.width, self.height),
                inputs: self.input_pictures.0.clone(),
                references: self.pictures.0.clone(),
                fix: self.repair.as_ref().map(|repair| repair.fix.clone()),
                keep_for: self.use_cache.then(|| TenantId::from_uuid(self.tenant_id)),
            }),
            JobKind::Critique => Work::Critique(CritiqueWork {
                plan: plan()?,
                image: *self
                    .input_pictures
                    .first()
                    .ok_or_else(|| self.wrong("jobs", "input_pictures", "is empty"))?,
            }),
        })
    }
}
