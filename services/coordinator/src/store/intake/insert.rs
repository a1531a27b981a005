//! Writing new requests with their first jobs, in one statement.

use std::collections::HashSet;

use atelier_domain::{Job, JobState, Request, StageNode, fair::Tag};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    super::{
        columns::{column, json, quoted, signed, small},
        job_row::Rank,
        save::unless_fenced,
    },
    StoreError, Submission,
    admission::Admission,
};

/// A submission that its tenant's queue has room for.
pub(super) struct Admitted<'a> {
    pub submission: &'a Submission,
    pub request: Request,
    pub rank: Rank,
    /// Where its tenant's next request starts.
    pub finish: Tag,
}

/// Writes new requests (`$1`..`$26`) with their first jobs (`$27`..`$43`), except those whose idempotency key is taken, and moves the queues of their
/// tenants, and the clock to the turn of what is dispatched at once; returns what it wrote. Writes nothing when a queue has moved since it had taken as
/// many requests as `$45` says (`$44` names the tenants). As in [a save](super::super::save), rows are unnested beside each other.
const INSERT: &str = "
    WITH new AS (
        SELECT unnest($1::uuid[]) AS id, unnest($2::uuid[]) AS tenant_id, unnest($3::text[]) AS idempotency_key,
               unnest($4::bytea[]) AS body_sha256, unnest($5::text[]) AS model, unnest($6::text[]) AS prompt, unnest($7::bigint[]) AS seed,
               unnest($8::text[]) AS think, unnest($9::integer[]) AS think_tokens, unnest($10::boolean[]) AS plan_only,
               unnest($11::text[]) AS priority, unnest($12::integer[]) AS steps, unnest($13::integer[]) AS width,
               unnest($14::integer[]) AS height, unnest($15::smallint[]) AS max_rounds, unnest($16::text[]) AS pictures,
               unnest($17::bytea[]) AS direct_plan_sha256, unnest($18::bigint[]) AS direct_plan_bytes, unnest($19::integer[]) AS plan_checks,
               unnest($20::bigint[]) AS fair_tag, unnest($21::bigint[]) AS fair_finish, unnest($22::text[]) AS traceparent,
               unnest($23::boolean[]) AS use_cache, unnest($24::smallint[]) AS candidates, unnest($25::bigint[]) AS max_time_ms,
               unnest($26::bigint[]) AS max_cost_ms
    ),
    made AS (
        INSERT INTO requests (id, tenant_id, idempotency_key, body_sha256, model, prompt, seed, think, think_tokens, plan_only, priority, steps, width, height,
                              max_rounds, pictures, direct_plan_sha256, direct_plan_bytes, plan_sha256, plan_bytes, plan_checks, fair_tag,
                              traceparent, use_cache, candidates, max_time_ms, max_cost_ms)
        SELECT id, tenant_id, idempotency_key, body_sha256, model, prompt, seed, think, think_tokens, plan_only, priority, steps, width, height,
               max_rounds, pictures::jsonb, direct_plan_sha256, direct_plan_bytes,
               -- A plan that was given, or without thinking the direct plan, is carried out from the start.
               CASE WHEN plan_checks IS NOT NULL THEN direct_plan_sha256 END,
               CASE WHEN plan_checks IS NOT NULL THEN direct_plan_bytes END,
               plan_checks, fair_tag, traceparent, use_cache, candidates, max_time_ms, max_cost_ms
        FROM new
        ON CONFLICT (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
        RETURNING id
    ),
    moves AS (
        SELECT tenant_id, count(*) AS requests,
               max(fair_finish) FILTER (WHERE priority = 'interactive') AS interactive,
               max(fair_finish) FILTER (WHERE priority = 'normal') AS normal,
               max(fair_finish) FILTER (WHERE priority = 'batch') AS batch
        FROM made JOIN new USING (id)
        GROUP BY tenant_id
    ),
    moved AS (
        UPDATE tenant_queues q
        SET accepted = q.accepted + m.requests,
            interactive_tag = greatest(q.interactive_tag, m.interactive),
            normal_tag = greatest(q.normal_tag, m.normal),
            batch_tag = greatest(q.batch_tag, m.batch)
        FROM moves m
        JOIN unnest($44::uuid[], $45::bigint[]) AS seen(tenant_id, accepted) USING (tenant_id)
        WHERE q.tenant_id = m.tenant_id AND q.accepted = seen.accepted
        RETURNING 1
    ),
    first_jobs AS (
        INSERT INTO jobs (id, request_id, position, kind, round, candidate, stage, op, inputs, seed, priority, fair_tag, state, attempt,
                          input_pictures, not_before, lease_until, ready_at)
        SELECT id, request_id, position, kind, round, candidate, stage, op, inputs::text[], seed, priority, fair_tag, state, attempt, input_pictures::jsonb,
               to_timestamp(not_before / 1000.0), to_timestamp(lease_until / 1000.0),
               CASE WHEN state IN ('ready', 'dispatched') THEN now() END
        FROM (
            SELECT unnest($27::uuid[]) AS id, unnest($28::uuid[]) AS request_id, unnest($29::smallint[]) AS position, unnest($30::text[]) AS kind,
                   unnest($31::smallint[]) AS round, unnest($32::smallint[]) AS candidate, unnest($33::text[]) AS stage, unnest($34::text[]) AS op,
                   unnest($35::text[]) AS inputs, unnest($36::bigint[]) AS seed, unnest($37::text[]) AS priority, unnest($38::bigint[]) AS fair_tag,
                   unnest($39::text[]) AS state, unnest($40::integer[]) AS attempt, unnest($41::text[]) AS input_pictures,
                   unnest($42::bigint[]) AS not_before, unnest($43::bigint[]) AS lease_until
        ) AS n
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
    SELECT id, now
    FROM made
    CROSS JOIN (
        SELECT (date_part('epoch', now()) * 1000000)::bigint AS now,
               atelier_fence((SELECT count(*) FROM moved), (SELECT count(*) FROM moves)::integer, 'queues')
    ) AS fenced";

/// What was written.
pub(super) struct Made {
    /// Requests that were not there.
    pub ids: HashSet<Uuid>,
    /// When they were created, in microseconds; 0 with none.
    pub created_us: i64,
}

/// Writes requests and first jobs. Fails as overtaken when a queue has moved since it was looked at.
pub(super) async fn insert(
    connection: &mut PgConnection,
    admission: &Admission,
    admitted: &[Admitted<'_>],
) -> Result<Made, StoreError> {
    let mut made = Made {
        ids: HashSet::new(),
        created_us: 0,
    };
    if admitted.is_empty() {
        return Ok(made);
    }
    let (tenants, accepted) = admission.fences();
    let jobs: Vec<FirstJob<'_>> = admitted.iter().flat_map(FirstJob::all).collect();
    let query = sqlx::query_as(INSERT)
        .bind(column(admitted, |one| one.request.id.as_uuid()))
        .bind(column(admitted, |one| one.submission.tenant.as_uuid()))
        .bind(column(admitted, |one| {
            one.submission.idempotency_key.as_deref()
        }))
        .bind(column(admitted, |one| {
            one.submission.body_sha256.0.as_slice()
        }))
        .bind(column(admitted, |one| one.submission.model.as_str()))
        .bind(column(admitted, |one| one.submission.prompt.as_str()))
        .bind(column(admitted, |one| one.request.seed.cast_signed()))
        .bind(column(admitted, |one| one.submission.start.think.as_str()))
        .bind(column(admitted, |one| {
            one.submission.think_tokens.map(signed)
        }))
        .bind(column(admitted, |one| one.request.plan_only))
        .bind(column(admitted, |one| one.submission.priority.as_str()))
        .bind(column(admitted, |one| one.submission.steps.map(signed)))
        .bind(column(admitted, |one| {
            one.submission.size.map(|size| signed(size.width))
        }))
        .bind(column(admitted, |one| {
            one.submission.size.map(|size| signed(size.height))
        }))
        .bind(column(admitted, |one| small(one.request.max_rounds)))
        .bind(column(admitted, |one| json(&one.submission.pictures)))
        .bind(column(admitted, |one| {
            one.submission.start.direct_plan.sha256.0.as_slice()
        }))
        .bind(column(admitted, |one| {
            one.submission.start.direct_plan.bytes.cast_signed()
        }))
        .bind(column(admitted, |one| {
            one.request.plan.map(|plan| signed(plan.checks))
        }))
        .bind(column(admitted, |one| one.rank.fair_tag.cast_signed()))
        .bind(column(admitted, |one| one.finish.cast_signed()))
        .bind(column(admitted, |one| {
            one.submission.brought.map(|brought| brought.to_string())
        }))
        .bind(column(admitted, |one| one.submission.use_cache))
        .bind(column(admitted, |one| small(one.request.candidates)))
        .bind(column(admitted, |one| {
            one.request.limits.time_ms.map(u64::cast_signed)
        }))
        .bind(column(admitted, |one| {
            one.request.limits.cost_ms.map(u64::cast_signed)
        }));
    let written: Result<Vec<(Uuid, i64)>, sqlx::Error> = query
        .bind(column(&jobs, |one| one.job.id.as_uuid()))
        .bind(column(&jobs, |one| one.request.id.as_uuid()))
        .bind(column(&jobs, |one| small(one.position)))
        .bind(column(&jobs, |one| one.job.kind.as_str()))
        .bind(column(&jobs, |one| small(one.job.round)))
        .bind(column(&jobs, |one| small(one.job.candidate)))
        .bind(column(&jobs, |one| {
            one.stage().map(|stage| stage.id.as_str())
        }))
        .bind(column(&jobs, |one| {
            one.stage().map(|stage| stage.op.as_str())
        }))
        .bind(column(&jobs, |one| {
            quoted(one.stage().map_or(&[], |stage| &stage.inputs))
        }))
        .bind(column(&jobs, |one| one.job.seed.cast_signed()))
        .bind(column(&jobs, |one| one.rank.priority.as_str()))
        .bind(column(&jobs, |one| one.rank.fair_tag.cast_signed()))
        .bind(column(&jobs, |one| one.job.state.as_str()))
        .bind(column(&jobs, |one| signed(one.job.attempt)))
        .bind(column(&jobs, |one| {
            json(&one.request.pictures_read_by(one.job))
        }))
        .bind(column(&jobs, FirstJob::not_before))
        .bind(column(&jobs, FirstJob::lease_until))
        .bind(tenants)
        .bind(accepted)
        .fetch_all(connection)
        .await;
    for (id, now) in written.map_err(unless_fenced)? {
        made.ids.insert(id);
        made.created_us = now;
    }
    Ok(made)
}

/// A job that a request begins with: it mends nothing, nobody has it in hands and nothing came of it yet.
struct FirstJob<'a> {
    request: &'a Request,
    job: &'a Job,
    position: usize,
    rank: Rank,
}

impl<'a> FirstJob<'a> {
    fn all(one: &'a Admitted<'_>) -> impl Iterator<Item = Self> {
        let jobs = one.request.jobs.iter().enumerate();
        jobs.map(|(position, job)| Self {
            request: &one.request,
            job,
            position,
            rank: one.rank,
        })
    }

    fn stage(&self) -> Option<&'a StageNode> {
        self.job.stage.as_ref()
    }

    fn not_before(&self) -> Option<i64> {
        match self.job.state {
            JobState::Ready { not_before } => Some(not_before.cast_signed()),
            _ => None,
        }
    }

    fn lease_until(&self) -> Option<i64> {
        match self.job.state {
            JobState::Dispatched { lease_until, .. } => Some(lease_until.cast_signed()),
            _ => None,
        }
    }
}
