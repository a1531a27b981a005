//! Writing new requests with their first jobs, in one statement.

use std::collections::HashSet;

use atelier_domain::{Job, JobState, Request, fair::Tag};
use atelier_proto::{ArtifactRef, Sha256, job::NamedReference};
use serde::Serialize;
use sqlx::{Postgres, Transaction, types::Json};
use uuid::Uuid;

use super::{super::job_row::Rank, StoreError, Submission};

/// A submission that its tenant's queue has room for.
pub(super) struct Admitted<'a> {
    pub submission: &'a Submission,
    pub request: Request,
    pub rank: Rank,
    /// Where its tenant's next request starts.
    pub finish: Tag,
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
    think_tokens: Option<u32>,
    plan_only: bool,
    priority: &'static str,
    steps: Option<u32>,
    width: Option<u32>,
    height: Option<u32>,
    max_rounds: u32,
    candidates: u32,
    max_time_ms: Option<u64>,
    max_cost_ms: Option<u64>,
    pictures: &'a [NamedReference],
    direct_plan_sha256: Sha256,
    direct_plan_bytes: u64,
    plan_checks: Option<u32>,
    fair_tag: Tag,
    fair_finish: Tag,
    traceparent: Option<String>,
    use_cache: bool,
}

/// A job that a request begins with: it mends nothing, nobody has it in hands and nothing came of it yet.
#[derive(Serialize)]
struct FirstJob<'a> {
    id: Uuid,
    request_id: Uuid,
    position: usize,
    kind: &'static str,
    round: u32,
    candidate: u32,
    stage: Option<&'a str>,
    op: Option<&'a str>,
    inputs: &'a [String],
    seed: i64,
    priority: &'static str,
    fair_tag: Tag,
    state: &'static str,
    attempt: u32,
    input_pictures: Vec<ArtifactRef>,
    not_before: Option<u64>,
    lease_until: Option<u64>,
}

/// Writes new requests (`$1`) with their first jobs (`$2`), except those whose idempotency key is taken, and moves the queues of their tenants, and
/// the clock to the turn of what is dispatched at once; returns what it wrote.
const INSERT: &str = "
    WITH new AS (
        SELECT * FROM jsonb_to_recordset($1) AS n(
            id uuid, tenant_id uuid, idempotency_key text, body_sha256 text, model text, prompt text, seed bigint, think text, think_tokens integer, plan_only boolean,
            priority text, steps integer, width integer, height integer, max_rounds smallint, pictures jsonb,
            direct_plan_sha256 text, direct_plan_bytes bigint, plan_checks integer, fair_tag bigint, fair_finish bigint,
            traceparent text, use_cache boolean, candidates smallint, max_time_ms bigint, max_cost_ms bigint)
    ),
    made AS (
        INSERT INTO requests (id, tenant_id, idempotency_key, body_sha256, model, prompt, seed, think, think_tokens, plan_only, priority, steps, width, height,
                              max_rounds, pictures, direct_plan_sha256, direct_plan_bytes, plan_sha256, plan_bytes, plan_checks, fair_tag,
                              traceparent, use_cache, candidates, max_time_ms, max_cost_ms)
        SELECT id, tenant_id, idempotency_key, decode(body_sha256, 'hex'), model, prompt, seed, think, think_tokens, plan_only, priority, steps, width, height,
               max_rounds, pictures, decode(direct_plan_sha256, 'hex'), direct_plan_bytes,
               -- A plan that was given, or without thinking the direct plan, is carried out from the start.
               CASE WHEN plan_checks IS NOT NULL THEN decode(direct_plan_sha256, 'hex') END,
               CASE WHEN plan_checks IS NOT NULL THEN direct_plan_bytes END,
               plan_checks, fair_tag, traceparent, use_cache, candidates, max_time_ms, max_cost_ms
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
        INSERT INTO jobs (id, request_id, position, kind, round, candidate, stage, op, inputs, seed, priority, fair_tag, state, attempt,
                          input_pictures, not_before, lease_until, ready_at)
        SELECT id, request_id, position, kind, round, candidate, stage, op, inputs, seed, priority, fair_tag, state, attempt, input_pictures,
               to_timestamp(not_before / 1000.0), to_timestamp(lease_until / 1000.0),
               CASE WHEN state IN ('ready', 'dispatched') THEN now() END
        FROM jsonb_to_recordset($2) AS n(
            id uuid, request_id uuid, position smallint, kind text, round smallint, candidate smallint, stage text, op text, inputs text[],
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

/// Writes requests and first jobs; returns the ids of those that were not there.
pub(super) async fn insert(
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
            let jobs = one.request.jobs.iter().enumerate();
            jobs.map(|(position, job)| FirstJob::new(&one.request, position, job, one.rank))
        })
        .collect();
    let made: Vec<Uuid> = sqlx::query_scalar(INSERT)
        .bind(Json(&requests))
        .bind(Json(&jobs))
        .fetch_all(&mut **transaction)
        .await?;
    Ok(made.into_iter().collect())
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
            think: submission.start.think.as_str(),
            think_tokens: submission.think_tokens,
            plan_only: request.plan_only,
            priority: submission.priority.as_str(),
            steps: submission.steps,
            width: submission.size.map(|size| size.width),
            height: submission.size.map(|size| size.height),
            max_rounds: request.max_rounds,
            candidates: request.candidates,
            max_time_ms: request.limits.time_ms,
            max_cost_ms: request.limits.cost_ms,
            pictures: &submission.pictures,
            direct_plan_sha256: direct_plan.sha256,
            direct_plan_bytes: direct_plan.bytes,
            plan_checks: request.plan.map(|plan| plan.checks),
            fair_tag: rank.fair_tag,
            fair_finish: *finish,
            traceparent: submission.brought.map(|brought| brought.to_string()),
            use_cache: submission.use_cache,
        }
    }
}

impl<'a> FirstJob<'a> {
    fn new(request: &Request, position: usize, job: &'a Job, rank: Rank) -> Self {
        let stage = job.stage.as_ref();
        let (not_before, lease_until) = match job.state {
            JobState::Ready { not_before } => (Some(not_before), None),
            JobState::Dispatched { lease_until, .. } => (None, Some(lease_until)),
            _ => (None, None),
        };
        Self {
            id: job.id.as_uuid(),
            request_id: request.id.as_uuid(),
            position,
            kind: job.kind.as_str(),
            round: job.round,
            candidate: job.candidate,
            stage: stage.map(|stage| &*stage.id),
            op: stage.map(|stage| &*stage.op),
            inputs: stage.map_or(&[], |stage| &stage.inputs),
            seed: job.seed.cast_signed(),
            priority: rank.priority.as_str(),
            fair_tag: rank.fair_tag,
            state: job.state.as_str(),
            attempt: job.attempt,
            input_pictures: request.pictures_read_by(job),
            not_before,
            lease_until,
        }
    }
}
