//! Making requests durable, many in one commit, each with its turn among those of all tenants.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use atelier_domain::{
    Event, Job, JobState, Millis, NewRequest, Policy, Request,
    fair::{Shares, Tag, Weight},
};
use atelier_proto::{
    RequestId, Sha256, TenantId, TraceContext,
    job::{NamedReference, Priority, Size, Think},
};
use serde::Serialize;
use sqlx::{FromRow, Postgres, Transaction, types::Json};
use uuid::Uuid;

use super::{
    Claimed, Store, StoreError,
    job_row::{JobWrite, Rank},
    notices::notify,
    offer::offer,
    request_row::{Spec, sha256},
    unit::Loaded,
};

/// What a request costs its tenant: all the same, since how much work it is shows only on the way.
const COST: u32 = 1;

/// A request that passed every check, its pictures and direct plan stored.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose it is.
    pub tenant: TenantId,
    /// What the state machine starts from.
    pub start: NewRequest,
    /// The caller's own name for this submit.
    pub idempotency_key: Option<String>,
    /// Digest of the submitted body.
    pub body_sha256: Sha256,
    /// The submitter's trace, if it brought one.
    pub brought: Option<TraceContext>,
    /// Model that will work on it.
    pub model: String,
    /// What to draw.
    pub prompt: String,
    /// How urgent.
    pub priority: Priority,
    /// Denoise steps.
    pub steps: Option<u32>,
    /// Size in pixels.
    pub size: Option<Size>,
    /// The user's own pictures.
    pub pictures: Vec<NamedReference>,
}

impl Submission {
    fn spec(&self) -> Spec {
        Spec {
            prompt: self.prompt.clone(),
            priority: self.priority,
            steps: self.steps,
            size: self.size,
            pictures: self.pictures.clone(),
            brought: self.brought,
        }
    }
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable under this id.
    New(RequestId),
    /// It was submitted before, under this id.
    Known(RequestId),
    /// Its idempotency key stands for another body.
    KeyTaken,
    /// Its tenant has as many active requests as it may have. Nothing was written.
    QueueFull {
        /// How many.
        limit: u64,
    },
}

/// What became of some submissions.
#[derive(Clone, Debug, PartialEq)]
pub struct Intake {
    /// Of each, in their order.
    pub accepted: Vec<Accepted>,
    /// The queues of their tenants.
    pub queues: Vec<QueueSeen>,
    /// First jobs that were marked dispatched and have to be published now.
    pub dispatched: Vec<Claimed>,
    /// Whether other first jobs are ready.
    pub ready: bool,
}

/// What was seen of a tenant's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSeen {
    /// Whose.
    pub tenant: TenantId,
    /// Requests of it that ever ended.
    pub ended: u64,
    /// When.
    pub at: Millis,
}

#[derive(Serialize)]
struct RequestInsert<'a> {
    id: Uuid,
    tenant_id: Uuid,
    idempotency_key: Option<&'a str>,
    body_sha256: Sha256,
    model: &'a str,
    prompt: &'a str,
    seed: i64,
    think: &'static str,
    priority: &'static str,
    steps: Option<u32>,
    width: Option<u32>,
    height: Option<u32>,
    max_rounds: u32,
    pictures: &'a [NamedReference],
    direct_plan_sha256: Sha256,
    direct_plan_bytes: u64,
    plan_checks: Option<u32>,
    fair_tag: Tag,
    fair_finish: Tag,
    traceparent: Option<String>,
}

/// Locks the queues of the tenants in `$1`, in one order, and reads what the next requests of each depend on. What ended in this very moment may
/// still be counted as active.
const LOCK_QUEUES: &str = "
    SELECT q.tenant_id, q.accepted, q.interactive_tag, q.normal_tag, q.batch_tag, t.weight, t.queue_limit,
           coalesce((SELECT sum(e.ended) FROM tenant_endings e WHERE e.tenant_id = q.tenant_id), 0)::bigint AS ended,
           (extract(epoch FROM now()) * 1000)::bigint AS now,
           clock.tag AS clock
    FROM tenant_queues q
    JOIN tenants t ON t.id = q.tenant_id
    CROSS JOIN (
        -- The clock as the next claim will move it.
        SELECT greatest(
            (SELECT min(first.fair_tag)
             FROM (VALUES ('plan'), ('render'), ('critique')) AS k(kind)
             CROSS JOIN LATERAL (
                SELECT fair_tag FROM jobs WHERE state = 'ready' AND kind = k.kind ORDER BY fair_tag LIMIT 1
             ) AS first),
            (SELECT tag FROM fair_clock)) AS tag
    ) AS clock
    WHERE q.tenant_id = ANY($1)
    ORDER BY q.tenant_id
    FOR NO KEY UPDATE OF q";

/// Writes new requests (`$1`) with their first jobs (`$2`), except those whose idempotency key is taken, and moves the queues of their tenants, and
/// the clock to the turn of what is dispatched at once; returns what it wrote.
const INSERT: &str = "
    WITH new AS (
        SELECT * FROM jsonb_to_recordset($1) AS n(
            id uuid, tenant_id uuid, idempotency_key text, body_sha256 text, model text, prompt text, seed bigint, think text,
            priority text, steps integer, width integer, height integer, max_rounds smallint, pictures jsonb,
            direct_plan_sha256 text, direct_plan_bytes bigint, plan_checks integer, fair_tag bigint, fair_finish bigint,
            traceparent text)
    ),
    made AS (
        INSERT INTO requests (id, tenant_id, idempotency_key, body_sha256, model, prompt, seed, think, priority, steps, width, height,
                              max_rounds, pictures, direct_plan_sha256, direct_plan_bytes, plan_sha256, plan_bytes, plan_checks, fair_tag,
                              traceparent)
        SELECT id, tenant_id, idempotency_key, decode(body_sha256, 'hex'), model, prompt, seed, think, priority, steps, width, height,
               max_rounds, pictures, decode(direct_plan_sha256, 'hex'), direct_plan_bytes,
               -- Without thinking the direct plan is carried out from the start.
               CASE WHEN plan_checks IS NOT NULL THEN decode(direct_plan_sha256, 'hex') END,
               CASE WHEN plan_checks IS NOT NULL THEN direct_plan_bytes END,
               plan_checks, fair_tag, traceparent
        FROM new
        ON CONFLICT (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
        RETURNING id
    ),
    moved AS (
        UPDATE tenant_queues q
        SET accepted = q.accepted + m.requests,
            interactive_tag = greatest(q.interactive_tag, m.interactive),
            normal_tag = greatest(q.normal_tag, m.normal),
            batch_tag = greatest(q.batch_tag, m.batch)
        FROM (
            SELECT tenant_id, count(*) AS requests,
                   max(fair_finish) FILTER (WHERE priority = 'interactive') AS interactive,
                   max(fair_finish) FILTER (WHERE priority = 'normal') AS normal,
                   max(fair_finish) FILTER (WHERE priority = 'batch') AS batch
            FROM made JOIN new USING (id)
            GROUP BY tenant_id
        ) m
        WHERE q.tenant_id = m.tenant_id
    ),
    first_jobs AS (
        INSERT INTO jobs (id, request_id, position, kind, round, stage, op, inputs, seed, priority, fair_tag, state, attempt,
                          input_pictures, not_before, lease_until, ready_at)
        SELECT id, request_id, position, kind, round, stage, op, inputs, seed, priority, fair_tag, state, attempt, input_pictures,
               to_timestamp(not_before / 1000.0), to_timestamp(lease_until / 1000.0),
               CASE WHEN state IN ('ready', 'dispatched') THEN now() END
        FROM jsonb_to_recordset($2) AS n(
            id uuid, request_id uuid, position smallint, kind text, round smallint, stage text, op text, inputs text[],
            seed bigint, priority text, fair_tag bigint, state text, attempt integer, input_pictures jsonb,
            not_before bigint, lease_until bigint)
        WHERE request_id IN (SELECT id FROM made)
        RETURNING state, fair_tag
    ),
    -- As in a claim: one that another coordinator moves is left to it.
    clock AS (
        SELECT FROM fair_clock WHERE EXISTS (SELECT FROM first_jobs WHERE state = 'dispatched') FOR UPDATE SKIP LOCKED
    ),
    clock_moved AS (
        UPDATE fair_clock c SET tag = d.tag
        FROM (SELECT max(fair_tag) AS tag FROM first_jobs WHERE state = 'dispatched') d
        WHERE c.tag < d.tag AND EXISTS (SELECT FROM clock)
    )
    SELECT id FROM made";

#[derive(FromRow)]
struct QueueRow {
    tenant_id: Uuid,
    accepted: i64,
    interactive_tag: i64,
    normal_tag: i64,
    batch_tag: i64,
    weight: i32,
    queue_limit: Option<i64>,
    ended: i64,
    now: i64,
    clock: i64,
}

#[derive(FromRow)]
struct Earlier {
    id: Uuid,
    tenant_id: Uuid,
    idempotency_key: String,
    body_sha256: Vec<u8>,
}

/// A tenant's queue while it is locked.
struct Queue {
    weight: Weight,
    active: u64,
    limit: u64,
}

/// Queues while they are locked, and the clock.
struct Admission {
    now: Millis,
    queues: BTreeMap<TenantId, Queue>,
    shares: Shares<TenantId>,
    seen: Vec<QueueSeen>,
}

impl Admission {
    /// Locks the queues of whoever submits.
    async fn begin(
        transaction: &mut Transaction<'static, Postgres>,
        submissions: &[Submission],
        default_limit: u64,
    ) -> Result<Self, StoreError> {
        let mut tenants: Vec<Uuid> = submissions.iter().map(|one| one.tenant.as_uuid()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        let rows: Vec<QueueRow> = sqlx::query_as(LOCK_QUEUES)
            .bind(&tenants)
            .fetch_all(&mut **transaction)
            .await?;
        let mut admission = Self {
            now: 0,
            queues: BTreeMap::new(),
            shares: Shares::default(),
            seen: Vec::new(),
        };
        for row in rows {
            admission.add(&row, default_limit);
        }
        Ok(admission)
    }

    fn add(&mut self, row: &QueueRow, default_limit: u64) {
        let tenant = TenantId::from_uuid(row.tenant_id);
        self.now = row.now.unsigned_abs();
        self.shares.see(row.clock.unsigned_abs());
        for (priority, finish) in [
            (Priority::Interactive, row.interactive_tag),
            (Priority::Normal, row.normal_tag),
            (Priority::Batch, row.batch_tag),
        ] {
            self.shares.resume(tenant, priority, finish.unsigned_abs());
        }
        let queue = Queue {
            weight: Weight::new(row.weight.unsigned_abs()).unwrap_or(Weight::ONE),
            active: (row.accepted - row.ended).max(0).unsigned_abs(),
            limit: row.queue_limit.map_or(default_limit, i64::unsigned_abs),
        };
        self.queues.insert(tenant, queue);
        self.seen.push(QueueSeen {
            tenant,
            ended: row.ended.unsigned_abs(),
            at: self.now,
        });
    }

    /// Whose turn a request has that is accepted now, and where the tenant's next one starts; none when the queue is full.
    fn admit(&mut self, submission: &Submission) -> Option<(Rank, Tag)> {
        let (tenant, priority) = (submission.tenant, submission.priority);
        let queue = self.queues.get_mut(&tenant)?;
        if queue.active >= queue.limit {
            return None;
        }
        queue.active += 1;
        let fair_tag = self.shares.admit(tenant, priority, COST, queue.weight);
        let rank = Rank { priority, fair_tag };
        Some((rank, self.shares.finish(tenant, priority)))
    }

    fn limit(&self, tenant: TenantId) -> u64 {
        self.queues.get(&tenant).map_or(0, |queue| queue.limit)
    }
}

/// A submission that its tenant's queue has room for.
struct Admitted<'a> {
    submission: &'a Submission,
    request: Request,
    rank: Rank,
    /// Where its tenant's next request starts.
    finish: Tag,
}

/// Marks the first jobs that `may` be as dispatched.
fn dispatch(
    request: &mut Request,
    now: Millis,
    policy: &Policy,
    may: &mut impl FnMut(&Job) -> bool,
) {
    let ready = |job: &&Job| matches!(job.state, JobState::Ready { .. });
    let chosen: Vec<_> = request
        .jobs
        .iter()
        .filter(ready)
        .filter(|job| may(job))
        .map(|job| job.id)
        .collect();
    for job in chosen {
        let applied = request.apply(Event::Dispatched { job }, now, policy);
        debug_assert!(
            applied.is_ok_and(|effects| effects.is_empty()),
            "it was ready"
        );
    }
}

fn has_ready(request: &Request) -> bool {
    let ready = |job: &Job| matches!(job.state, JobState::Ready { .. });
    request.jobs.iter().any(ready)
}

/// Writes requests and first jobs; returns the ids of those that were not there.
async fn insert(
    transaction: &mut Transaction<'static, Postgres>,
    admitted: &[Admitted<'_>],
) -> Result<HashSet<Uuid>, StoreError> {
    if admitted.is_empty() {
        return Ok(HashSet::new());
    }
    let requests: Vec<_> = admitted.iter().map(RequestInsert::new).collect();
    let jobs: Vec<_> = admitted
        .iter()
        .flat_map(|one| {
            let write = |job| JobWrite::new(&one.request, job, one.rank);
            one.request.jobs.iter().map(write)
        })
        .collect();
    let made: Vec<Uuid> = sqlx::query_scalar(INSERT)
        .bind(Json(&requests))
        .bind(Json(&jobs))
        .fetch_all(&mut **transaction)
        .await?;
    Ok(made.into_iter().collect())
}

impl Store {
    /// Writes `submissions` with their first jobs in one commit; says in the same order what became of each. A tenant without a limit of its
    /// own may have `default_limit` active requests. First jobs that `may` be are marked dispatched at once.
    pub async fn accept(
        &self,
        submissions: &[Submission],
        default_limit: u64,
        policy: &Policy,
        mut may: impl FnMut(&Job) -> bool,
    ) -> Result<Intake, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let mut admission = Admission::begin(&mut transaction, submissions, default_limit).await?;
        let mut admitted = Vec::with_capacity(submissions.len());
        for submission in submissions {
            if let Some((rank, finish)) = admission.admit(submission) {
                let mut request = Request::start(submission.start, admission.now);
                dispatch(&mut request, admission.now, policy, &mut may);
                admitted.push(Admitted {
                    submission,
                    request,
                    rank,
                    finish,
                });
            }
        }
        let made = insert(&mut transaction, &admitted).await?;
        let is_new = |one: &&Admitted| made.contains(&one.request.id.as_uuid());
        let new: Vec<&Admitted> = admitted.iter().filter(is_new).collect();
        let ready = new.iter().any(|one| has_ready(&one.request));
        if self.others() {
            notify(&mut transaction, &[], ready).await?;
        }
        transaction.commit().await?;
        let mut dispatched = Vec::new();
        for one in new {
            let spec = Arc::new(one.submission.spec());
            for job in &one.request.jobs {
                if let JobState::Dispatched { lease_until, .. } = job.state {
                    let lease_ms = lease_until - admission.now;
                    dispatched.push(offer(&one.request, job, &spec, lease_ms)?);
                }
            }
            self.recent.offer(|| Loaded {
                request: one.request.clone(),
                version: 0,
                rank: one.rank,
                spec,
                tenant: one.submission.tenant.as_uuid(),
                created_ms: admission.now.cast_signed(),
                places: HashMap::new(),
            });
        }
        let old: Vec<&Submission> = submissions
            .iter()
            .filter(|one| !made.contains(&one.start.id.as_uuid()))
            .collect();
        let earlier = self.earlier(&old).await?;
        let is_admitted = |id: RequestId| admitted.iter().any(|one| one.request.id == id);
        let accepted = submissions
            .iter()
            .map(|submission| {
                let id = submission.start.id;
                if made.contains(&id.as_uuid()) {
                    return Ok(Accepted::New(id));
                }
                match earlier.iter().find(|row| row.is_of(submission)) {
                    Some(row) => row.compare(submission.body_sha256),
                    // Deleted in between, which nothing does to young requests.
                    None if is_admitted(id) => Ok(Accepted::KeyTaken),
                    None => Ok(Accepted::QueueFull {
                        limit: admission.limit(submission.tenant),
                    }),
                }
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Intake {
            accepted,
            queues: admission.seen,
            dispatched,
            ready,
        })
    }

    /// Requests that have the idempotency keys of `submissions` already.
    async fn earlier(&self, submissions: &[&Submission]) -> Result<Vec<Earlier>, StoreError> {
        let (tenants, keys): (Vec<Uuid>, Vec<&str>) = submissions
            .iter()
            .filter_map(|one| Some((one.tenant.as_uuid(), one.idempotency_key.as_deref()?)))
            .unzip();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        Ok(sqlx::query_as(
            "SELECT r.id, r.tenant_id, r.idempotency_key, r.body_sha256
             FROM unnest($1::uuid[], $2::text[]) AS n(tenant_id, key)
             JOIN requests r ON r.tenant_id = n.tenant_id AND r.idempotency_key = n.key",
        )
        .bind(&tenants)
        .bind(&keys)
        .fetch_all(&self.pool)
        .await?)
    }
}

impl Earlier {
    fn is_of(&self, submission: &Submission) -> bool {
        self.tenant_id == submission.tenant.as_uuid()
            && Some(self.idempotency_key.as_str()) == submission.idempotency_key.as_deref()
    }

    fn compare(&self, body_sha256: Sha256) -> Result<Accepted, StoreError> {
        let digest = sha256(&self.body_sha256, "requests", "body_sha256", self.id)?;
        Ok(if digest == body_sha256 {
            Accepted::Known(RequestId::from_uuid(self.id))
        } else {
            Accepted::KeyTaken
        })
    }
}

impl<'a> RequestInsert<'a> {
    fn new(one: &'a Admitted<'_>) -> Self {
        let Admitted {
            submission,
            request,
            rank,
            finish,
        } = one;
        let direct_plan = submission.start.direct_plan;
        Self {
            id: request.id.as_uuid(),
            tenant_id: submission.tenant.as_uuid(),
            idempotency_key: submission.idempotency_key.as_deref(),
            body_sha256: submission.body_sha256,
            model: &submission.model,
            prompt: &submission.prompt,
            seed: request.seed.cast_signed(),
            think: match submission.start.think {
                Think::Off => "off",
                Think::Fast => "fast",
            },
            priority: submission.priority.as_str(),
            steps: submission.steps,
            width: submission.size.map(|size| size.width),
            height: submission.size.map(|size| size.height),
            max_rounds: request.max_rounds,
            pictures: &submission.pictures,
            direct_plan_sha256: direct_plan.sha256,
            direct_plan_bytes: direct_plan.bytes,
            plan_checks: request.plan.map(|plan| plan.checks),
            fair_tag: rank.fair_tag,
            fair_finish: *finish,
            traceparent: submission.brought.map(|brought| brought.to_string()),
        }
    }
}
