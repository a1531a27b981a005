//! The one statement that saves what events changed: fenced by version, attempt and state; all of it or nothing.
//!
//! Outside of a transaction it is one itself, so that a batch of reports costs one round trip and one flush of the log.

use atelier_domain::{Millis, State};
use sqlx::{FromRow, PgExecutor};

use super::{
    StoreError,
    columns::{column, digest, json, quoted, signed, small, uuids},
    job_row::JobWrite,
    notices::Told,
    request_row::RequestWrite,
};

/// What a unit of work has to write.
#[derive(Debug, Default)]
pub(super) struct Save<'a> {
    /// Requests, all that were touched, with the version that they were read with; in the order of their ids.
    pub requests: Vec<RequestWrite<'a>>,
    /// Jobs that changed, with their fences.
    pub changed: Vec<JobWrite>,
    /// Jobs that are new.
    pub made: Vec<JobWrite>,
    /// What is told with the commit.
    pub told: Told,
    /// This moment as the unit sees it; times are written as delays from it.
    pub now: Millis,
}

/// SQLSTATE of a write that did not hit the rows that it named; see migration 0004.
const FENCED: &str = "AT001";

/// Times to come are delays here, so that only this server's clock is read. The ids are named twice, so that a plan from a time when the tables were small
/// looks up rows, too, and does not read all of them. Jobs are ready, and end, when that was decided: some have been published since. Requests end when
/// the statement begins. It returns both moments: what is in memory has the same. Arrays are unnested in a list of columns: as the arguments of one
/// `unnest` in FROM each of them would be written out into a table of its own first, which takes four times as long.
macro_rules! save {
    ($rare:literal, $told:literal) => {
        concat!(
            "
    WITH requests_saved AS (
        UPDATE requests r
        SET version = r.version + 1, state = n.state, reason = n.reason, round = n.round,
            plan_sha256 = n.plan_sha256, plan_bytes = n.plan_bytes, plan_checks = n.plan_checks,
            image_sha256 = n.image_sha256, image_bytes = n.image_bytes, image_round = n.image_round,
            score_pass = n.score_pass, score_fail = n.score_fail, score_unknown = n.score_unknown,
            findings = n.findings::jsonb, decisions = n.decisions::jsonb,
            notes = CASE n.notes WHEN '[]' THEN '{}' ELSE ARRAY(SELECT jsonb_array_elements_text(n.notes::jsonb)) END,
            finished_at = CASE WHEN n.state = 'active' THEN NULL ELSE statement_timestamp() END
        FROM (
            SELECT unnest($1::uuid[]) AS id, unnest($2::bigint[]) AS version, unnest($3::text[]) AS state, unnest($4::text[]) AS reason,
                   unnest($5::smallint[]) AS round, unnest($6::bytea[]) AS plan_sha256, unnest($7::bigint[]) AS plan_bytes,
                   unnest($8::integer[]) AS plan_checks, unnest($9::bytea[]) AS image_sha256, unnest($10::bigint[]) AS image_bytes,
                   unnest($11::smallint[]) AS image_round, unnest($12::integer[]) AS score_pass, unnest($13::integer[]) AS score_fail,
                   unnest($14::integer[]) AS score_unknown, unnest($15::text[]) AS notes, unnest($55::text[]) AS findings,
                   unnest($56::text[]) AS decisions
        ) AS n
        -- Nothing changes after the end, and the end is a change: an active version is never that of an ended request.
        WHERE r.id = ANY($1) AND r.id = n.id AND r.version = n.version
        RETURNING r.tenant_id, r.state
    ),
    -- Jobs over the attempt and state that they were read with.
    jobs_saved AS (
        UPDATE jobs j
        SET state = n.state, attempt = n.attempt, failures = n.failures, dead_workers = n.dead_workers::uuid[], losses = n.losses,
            begun_attempt = CASE WHEN n.begun THEN n.attempt ELSE j.begun_attempt END,
            input_pictures = coalesce(n.input_pictures::jsonb, j.input_pictures),
            not_before = clock_timestamp() + n.not_before_in * interval '1 millisecond',
            lease_until = clock_timestamp() + n.lease_in * interval '1 millisecond',
            worker_id = CASE WHEN n.state IN ('ready', 'dispatched') THEN n.worker_id ELSE coalesce(n.worker_id, j.worker_id) END,
            stream_epoch = CASE WHEN n.state IN ('ready', 'dispatched') THEN NULL ELSE j.stream_epoch END,
            stream_sequence = CASE WHEN n.state IN ('ready', 'dispatched') THEN NULL ELSE j.stream_sequence END,
            ready_at = CASE WHEN n.state IN ('ready', 'dispatched') THEN coalesce(j.ready_at, least(statement_timestamp(), to_timestamp($59))) ELSE j.ready_at END,
            reason = n.reason, artifact_sha256 = n.artifact_sha256, artifact_bytes = n.artifact_bytes,
            score_pass = n.score_pass, score_fail = n.score_fail, score_unknown = n.score_unknown,
            detail = coalesce(n.detail::jsonb, j.detail), device_ms = coalesce(n.device_ms, j.device_ms),
            finished_at = CASE WHEN n.state IN ('done', 'failed', 'canceled') THEN least(statement_timestamp(), to_timestamp($59)) END
        FROM (
            SELECT unnest($16::uuid[]) AS id, unnest($17::integer[]) AS from_attempt, unnest($18::text[]) AS from_state, unnest($19::text[]) AS state,
                   unnest($20::integer[]) AS attempt, unnest($21::integer[]) AS failures, unnest($22::text[]) AS dead_workers,
                   unnest($23::text[]) AS input_pictures, unnest($24::bigint[]) AS not_before_in, unnest($25::bigint[]) AS lease_in,
                   unnest($26::uuid[]) AS worker_id, unnest($27::text[]) AS reason, unnest($28::bytea[]) AS artifact_sha256,
                   unnest($29::bigint[]) AS artifact_bytes, unnest($30::integer[]) AS score_pass, unnest($31::integer[]) AS score_fail,
                   unnest($32::integer[]) AS score_unknown, unnest($33::text[]) AS detail, unnest($34::bigint[]) AS device_ms,
                   unnest($53::integer[]) AS losses, unnest($54::boolean[]) AS begun
        ) AS n
        WHERE j.id = ANY($16) AND j.id = n.id AND j.attempt = n.from_attempt AND j.state = n.from_state
        RETURNING 1
    )",
            $rare,
            "
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
           (extract(epoch FROM statement_timestamp()) * 1000)::bigint AS finished,
           (date_part('epoch', least(statement_timestamp(), to_timestamp($59))) * 1000000)::bigint AS decided_us,
           -- Raises, and so undoes everything, when a fence did not hold.
           atelier_fence((SELECT count(*) FROM requests_saved), cardinality($1), 'requests') IS NULL
           AND atelier_fence((SELECT count(*) FROM jobs_saved), cardinality($16), 'jobs') IS NULL AS fenced",
            $told
        )
    };
}

/// Enough where no job is new, no request ends and nobody is told, as with most reports that come alone: a part that finds no rows costs
/// something all the same.
const SAVE_CHANGES: &str = save!("", "");

/// Everything.
const SAVE: &str = save!(
    ",
    -- Those that ended are counted for their tenants. Sessions seldom share a slot, and take those that they share in one order.
    ended AS (
        INSERT INTO tenant_endings AS e (tenant_id, slot, ended)
        SELECT tenant_id, pg_backend_pid() % 16, count(*) FROM requests_saved
        WHERE state <> 'active'
        GROUP BY tenant_id
        ORDER BY tenant_id
        ON CONFLICT (tenant_id, slot) DO UPDATE SET ended = e.ended + excluded.ended
    ),
    jobs_made AS (
        INSERT INTO jobs (id, request_id, position, kind, round, stage, op, inputs, seed, state, attempt,
                          input_pictures, not_before, lease_until, ready_at, priority, fair_tag, candidate, repair)
        SELECT n.id, n.request_id, n.position, n.kind, n.round, n.stage, n.op, n.inputs::text[], n.seed, n.state, n.attempt,
               n.input_pictures::jsonb,
               clock_timestamp() + n.not_before_in * interval '1 millisecond',
               clock_timestamp() + n.lease_in * interval '1 millisecond',
               CASE WHEN n.state IN ('ready', 'dispatched') THEN least(statement_timestamp(), to_timestamp($59)) END, n.priority, n.fair_tag, n.candidate, n.repair::jsonb
        FROM (
            SELECT unnest($35::uuid[]) AS id, unnest($36::uuid[]) AS request_id, unnest($37::smallint[]) AS position, unnest($38::text[]) AS kind,
                   unnest($39::smallint[]) AS round, unnest($40::text[]) AS stage, unnest($41::text[]) AS op, unnest($42::text[]) AS inputs,
                   unnest($43::bigint[]) AS seed, unnest($44::text[]) AS state, unnest($45::integer[]) AS attempt,
                   unnest($46::text[]) AS input_pictures, unnest($47::bigint[]) AS not_before_in, unnest($48::bigint[]) AS lease_in,
                   unnest($49::text[]) AS priority, unnest($50::bigint[]) AS fair_tag, unnest($57::smallint[]) AS candidate,
                   unnest($58::text[]) AS repair
        ) AS n
        RETURNING 1
    ),
    told AS (SELECT pg_notify(n.channel, n.payload) FROM unnest($51::text[], $52::text[]) AS n(channel, payload))",
    ",
           (SELECT count(*) FROM told) AS told"
);

/// What the database says of a save, by its clock.
#[derive(Clone, Copy, Debug, FromRow)]
pub(super) struct Saved {
    /// This moment, in milliseconds.
    pub now: i64,
    /// When the requests ended that it ended, in milliseconds.
    pub finished: i64,
    /// When the jobs were ready or ended that it made so, in microseconds.
    pub decided_us: i64,
}

impl Save<'_> {
    /// Writes everything through `executor`.
    pub async fn write<'e>(self, executor: impl PgExecutor<'e>) -> Result<Saved, StoreError> {
        let Self {
            requests,
            changed,
            made,
            told,
            now,
        } = &self;
        let delay = |time: Option<Millis>| time.map(|time| time.saturating_sub(*now).cast_signed());
        let (channels, payloads) = told.columns();
        let ended = |request: &RequestWrite| request.state != State::Active.kind().as_str();
        let statement = if made.is_empty() && channels.is_empty() && !requests.iter().any(ended) {
            SAVE_CHANGES
        } else {
            SAVE
        };
        let saved: Result<Saved, sqlx::Error> = sqlx::query_as(statement)
            .bind(column(requests, |r| r.id))
            .bind(column(requests, |r| r.version))
            .bind(column(requests, |r| r.state))
            .bind(column(requests, |r| r.reason))
            .bind(column(requests, |r| r.round))
            .bind(column(requests, |r| digest(r.plan_sha256.as_ref())))
            .bind(column(requests, |r| r.plan_bytes))
            .bind(column(requests, |r| r.plan_checks))
            .bind(column(requests, |r| digest(r.image_sha256.as_ref())))
            .bind(column(requests, |r| r.image_bytes))
            .bind(column(requests, |r| r.image_round))
            .bind(column(requests, |r| {
                r.score.map(|score| signed(score.pass))
            }))
            .bind(column(requests, |r| {
                r.score.map(|score| signed(score.fail))
            }))
            .bind(column(requests, |r| {
                r.score.map(|score| signed(score.unknown))
            }))
            .bind(column(requests, |r| json(r.notes)))
            .bind(column(changed, |j| j.id))
            .bind(column(changed, |j| j.from_attempt.map(signed)))
            .bind(column(changed, |j| j.from_state))
            .bind(column(changed, |j| j.state))
            .bind(column(changed, |j| signed(j.attempt)))
            .bind(column(changed, |j| signed(j.failures)))
            .bind(column(changed, |j| uuids(&j.dead_workers)))
            .bind(column(changed, |j| j.input_pictures.as_ref().map(json)))
            .bind(column(changed, |j| delay(j.not_before)))
            .bind(column(changed, |j| delay(j.lease_until)))
            .bind(column(changed, |j| j.worker_id))
            .bind(column(changed, |j| j.reason.as_deref()))
            .bind(column(changed, |j| digest(j.artifact_sha256.as_ref())))
            .bind(column(changed, |j| j.artifact_bytes.map(u64::cast_signed)))
            .bind(column(changed, |j| j.score_pass.map(signed)))
            .bind(column(changed, |j| j.score_fail.map(signed)))
            .bind(column(changed, |j| j.score_unknown.map(signed)))
            .bind(column(changed, |j| j.detail.as_deref()))
            .bind(column(changed, |j| j.device_ms.map(u64::cast_signed)))
            .bind(column(made, |j| j.id))
            .bind(column(made, |j| j.request_id))
            .bind(column(made, |j| small(j.position)))
            .bind(column(made, |j| j.kind))
            .bind(column(made, |j| small(j.round)))
            .bind(column(made, |j| j.stage.as_deref()))
            .bind(column(made, |j| j.op.as_deref()))
            .bind(column(made, |j| quoted(&j.inputs)))
            .bind(column(made, |j| j.seed))
            .bind(column(made, |j| j.state))
            .bind(column(made, |j| signed(j.attempt)))
            .bind(column(made, |j| {
                json(j.input_pictures.as_deref().unwrap_or_default())
            }))
            .bind(column(made, |j| delay(j.not_before)))
            .bind(column(made, |j| delay(j.lease_until)))
            .bind(column(made, |j| j.priority))
            .bind(column(made, |j| j.fair_tag.cast_signed()))
            .bind(channels)
            .bind(payloads)
            .bind(column(changed, |j| signed(j.losses)))
            .bind(column(changed, |j| j.begun))
            .bind(column(requests, |r| r.findings.map(json)))
            .bind(column(requests, |r| r.decisions.map(json)))
            .bind(column(made, |j| small(j.candidate)))
            .bind(column(made, |j| j.repair.as_ref().map(json)))
            .bind(*now as f64 / 1_000.0)
            .fetch_one(executor)
            .await;
        saved.map_err(unless_fenced)
    }
}

/// A fence that did not hold says that somebody else was faster.
pub(super) fn unless_fenced(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(refusal) if refusal.code().as_deref() == Some(FENCED) => {
            StoreError::Overtaken
        }
        error => error.into(),
    }
}
