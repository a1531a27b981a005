//! What the schema itself refuses, whoever writes it: every CHECK of the database has rows of a farm changed into what must not be.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use atelier_proto::{http::SubmitRequest, job::JobKind, review::Answer, webhook::Webhook};
use atelier_tests::{Sandbox, in_time, prompt};
use sqlx::Connection;

use atelier_tests::hand::{Hand, day_and_night};

const SOON: Duration = Duration::from_secs(20);

/// A CHECK, and a statement that nothing but it refuses.
type Case = (&'static str, &'static str);

const REQUESTS: &[Case] = &[
    ("requests_body_sha256_check", "UPDATE requests SET body_sha256 = 'short'"),
    ("requests_candidates_are_bounded", "UPDATE requests SET candidates = 5"),
    ("requests_decisions_are_a_list", "UPDATE requests SET decisions = '{}'"),
    ("requests_direct_plan_bytes_check", "UPDATE requests SET direct_plan_bytes = 0"),
    ("requests_direct_plan_sha256_check", "UPDATE requests SET direct_plan_sha256 = 'short'"),
    ("requests_fair_tag_check", "UPDATE requests SET fair_tag = -1"),
    ("requests_findings_are_an_object", "UPDATE requests SET findings = '[]'"),
    ("requests_finished_exactly_at_the_end", "UPDATE requests SET finished_at = NULL WHERE state = 'succeeded'"),
    ("requests_finished_exactly_at_the_end", "UPDATE requests SET finished_at = now() WHERE state = 'active'"),
    ("requests_height_check", "UPDATE requests SET width = 64, height = 0"),
    ("requests_idempotency_key_check", "UPDATE requests SET idempotency_key = ''"),
    ("requests_image_bytes_check", "UPDATE requests SET image_bytes = 0 WHERE state = 'succeeded'"),
    ("requests_image_is_of_a_round", "UPDATE requests SET image_round = round + 1 WHERE state = 'succeeded'"),
    ("requests_image_is_whole", "UPDATE requests SET image_bytes = NULL WHERE state = 'succeeded'"),
    ("requests_image_sha256_check", "UPDATE requests SET image_sha256 = 'short' WHERE state = 'succeeded'"),
    ("requests_limits_are_positive", "UPDATE requests SET max_time_ms = 0"),
    ("requests_limits_are_positive", "UPDATE requests SET max_cost_ms = 0"),
    ("requests_max_rounds_check", "UPDATE requests SET max_rounds = 5"),
    ("requests_pictures_check", "UPDATE requests SET pictures = '{}'"),
    ("requests_plan_bytes_check", "UPDATE requests SET plan_bytes = 0 WHERE state = 'succeeded'"),
    ("requests_plan_checks_check", "UPDATE requests SET plan_checks = -1 WHERE state = 'succeeded'"),
    ("requests_plan_is_whole", "UPDATE requests SET plan_bytes = NULL WHERE state = 'succeeded'"),
    ("requests_plan_only_draw_nothing", "UPDATE requests SET plan_only = true WHERE state = 'succeeded'"),
    ("requests_plan_sha256_check", "UPDATE requests SET plan_sha256 = 'short' WHERE state = 'succeeded'"),
    ("requests_priority_check", "UPDATE requests SET priority = 'urgent'"),
    ("requests_prompt_check", "UPDATE requests SET prompt = ''"),
    ("requests_reason_exactly_without_success", "UPDATE requests SET reason = 'why not' WHERE state = 'succeeded'"),
    ("requests_reason_exactly_without_success", "UPDATE requests SET state = 'failed', finished_at = now() WHERE state = 'active'"),
    ("requests_rounds_are_bounded", "UPDATE requests SET round = max_rounds + 1"),
    ("requests_score_fail_check", "UPDATE requests SET score_fail = -1 WHERE state = 'succeeded'"),
    ("requests_score_is_of_an_image", "UPDATE requests SET score_pass = 1, score_fail = 0, score_unknown = 0 WHERE state = 'active'"),
    ("requests_score_is_whole", "UPDATE requests SET score_fail = NULL WHERE state = 'succeeded'"),
    ("requests_score_pass_check", "UPDATE requests SET score_pass = -1 WHERE state = 'succeeded'"),
    ("requests_score_unknown_check", "UPDATE requests SET score_unknown = -1 WHERE state = 'succeeded'"),
    ("requests_size_is_whole", "UPDATE requests SET width = 64, height = NULL"),
    ("requests_state_check", "UPDATE requests SET state = 'lost', reason = 'why not', finished_at = now() WHERE state = 'active'"),
    ("requests_steps_check", "UPDATE requests SET steps = 0"),
    (
        "requests_succeed_with_a_picture",
        "UPDATE requests SET image_sha256 = NULL, image_bytes = NULL, image_round = NULL, score_pass = NULL, score_fail = NULL, score_unknown = NULL
         WHERE state = 'succeeded'",
    ),
    ("requests_think_check", "UPDATE requests SET think = 'slow'"),
    ("requests_think_tokens_are_bounded", "UPDATE requests SET think_tokens = 0"),
    ("requests_trace_after_the_end", "UPDATE requests SET trace_sha256 = sha256('x'), trace_bytes = 1 WHERE state = 'active'"),
    ("requests_trace_bytes_check", "UPDATE requests SET trace_bytes = 0 WHERE state = 'succeeded'"),
    ("requests_trace_is_whole", "UPDATE requests SET trace_bytes = NULL WHERE state = 'succeeded'"),
    ("requests_trace_sha256_check", "UPDATE requests SET trace_sha256 = 'short' WHERE state = 'succeeded'"),
    ("requests_traceparent_is_one", "UPDATE requests SET traceparent = '00-0-0-00'"),
    ("requests_width_check", "UPDATE requests SET width = 0, height = 64"),
];

const JOBS: &[Case] = &[
    (
        "jobs_artifact_bytes_check",
        "UPDATE jobs SET artifact_bytes = 0 WHERE state = 'done'",
    ),
    (
        "jobs_artifact_exactly_when_done",
        "UPDATE jobs SET artifact_sha256 = NULL, artifact_bytes = NULL WHERE state = 'done'",
    ),
    (
        "jobs_artifact_exactly_when_done",
        "UPDATE jobs SET artifact_sha256 = sha256('x'), artifact_bytes = 1 WHERE state = 'dispatched'",
    ),
    (
        "jobs_artifact_sha256_check",
        "UPDATE jobs SET artifact_sha256 = 'short' WHERE state = 'done'",
    ),
    ("jobs_attempt_check", "UPDATE jobs SET attempt = -1"),
    (
        "jobs_begun_is_an_attempt",
        "UPDATE jobs SET begun_attempt = attempt + 1",
    ),
    ("jobs_candidate_is_bounded", "UPDATE jobs SET candidate = 5"),
    // Failures are attempts: of more columns than one, and so without one in its name.
    ("jobs_check", "UPDATE jobs SET failures = attempt + 1"),
    (
        "jobs_computed_has_begun",
        "UPDATE jobs SET computed_attempt = begun_attempt + 1",
    ),
    ("jobs_device_ms_check", "UPDATE jobs SET device_ms = -1"),
    (
        "jobs_dispatched_is_an_attempt",
        "UPDATE jobs SET attempt = 0 WHERE state = 'dispatched'",
    ),
    ("jobs_fair_tag_check", "UPDATE jobs SET fair_tag = -1"),
    (
        "jobs_finished_exactly_at_the_end",
        "UPDATE jobs SET finished_at = NULL WHERE state = 'done'",
    ),
    (
        "jobs_finished_exactly_at_the_end",
        "UPDATE jobs SET state = 'canceled', lease_until = NULL WHERE state = 'dispatched'",
    ),
    (
        "jobs_input_pictures_check",
        "UPDATE jobs SET input_pictures = '{}'",
    ),
    (
        "jobs_kind_check",
        "UPDATE jobs SET kind = 'paint' WHERE kind = 'plan'",
    ),
    (
        "jobs_lease_exactly_when_dispatched",
        "UPDATE jobs SET lease_until = NULL WHERE state = 'dispatched'",
    ),
    (
        "jobs_lease_exactly_when_dispatched",
        "UPDATE jobs SET lease_until = now() WHERE state = 'done'",
    ),
    (
        "jobs_losses_are_attempts",
        "UPDATE jobs SET losses = attempt + 1",
    ),
    (
        "jobs_not_before_exactly_when_ready",
        "UPDATE jobs SET not_before = now() WHERE state = 'dispatched'",
    ),
    (
        "jobs_not_before_exactly_when_ready",
        "UPDATE jobs SET state = 'ready', lease_until = NULL WHERE state = 'dispatched'",
    ),
    ("jobs_position_check", "UPDATE jobs SET position = -1"),
    ("jobs_priority_check", "UPDATE jobs SET priority = 'urgent'"),
    (
        "jobs_reason_exactly_when_failed",
        "UPDATE jobs SET reason = 'why not' WHERE state = 'done'",
    ),
    (
        "jobs_reason_exactly_when_failed",
        "UPDATE jobs SET state = 'failed', lease_until = NULL, finished_at = now() WHERE state = 'dispatched'",
    ),
    (
        "jobs_repair_only_of_renders",
        "UPDATE jobs SET repair = '{}' WHERE kind = 'plan'",
    ),
    ("jobs_round_check", "UPDATE jobs SET round = 5"),
    (
        "jobs_score_exactly_of_reviews",
        "UPDATE jobs SET score_pass = NULL, score_fail = NULL, score_unknown = NULL WHERE kind = 'critique'",
    ),
    (
        "jobs_score_exactly_of_reviews",
        "UPDATE jobs SET score_pass = 1, score_fail = 0, score_unknown = 0 WHERE kind = 'render'",
    ),
    (
        "jobs_score_fail_check",
        "UPDATE jobs SET score_fail = -1 WHERE kind = 'critique'",
    ),
    (
        "jobs_score_pass_check",
        "UPDATE jobs SET score_pass = -1 WHERE kind = 'critique'",
    ),
    (
        "jobs_score_unknown_check",
        "UPDATE jobs SET score_unknown = -1 WHERE kind = 'critique'",
    ),
    (
        "jobs_stage_exactly_of_renders",
        "UPDATE jobs SET stage = NULL, op = NULL WHERE kind = 'render'",
    ),
    (
        "jobs_stage_exactly_of_renders",
        "UPDATE jobs SET op = NULL WHERE kind = 'render'",
    ),
    (
        "jobs_state_check",
        "UPDATE jobs SET state = 'lost', lease_until = NULL WHERE state = 'dispatched'",
    ),
];

const OTHERS: &[Case] = &[
    (
        "api_keys_key_sha256_check",
        "UPDATE api_keys SET key_sha256 = 'short'",
    ),
    (
        "api_keys_note_check",
        "UPDATE api_keys SET note = repeat('x', 1001)",
    ),
    (
        "fair_clock_only_one_check",
        "INSERT INTO fair_clock (only_one) VALUES (false)",
    ),
    ("fair_clock_tag_check", "UPDATE fair_clock SET tag = -1"),
    (
        "secrets_name_check",
        "INSERT INTO secrets (name, value) VALUES ('A name', sha256('x'))",
    ),
    (
        "secrets_value_check",
        "INSERT INTO secrets (name, value) VALUES ('name', 'short')",
    ),
    (
        "tenant_endings_ended_check",
        "UPDATE tenant_endings SET ended = -1",
    ),
    (
        "tenant_endings_slot_check",
        "UPDATE tenant_endings SET slot = -1",
    ),
    (
        "tenant_queues_accepted_check",
        "UPDATE tenant_queues SET accepted = -1",
    ),
    (
        "tenant_queues_batch_tag_check",
        "UPDATE tenant_queues SET batch_tag = -1",
    ),
    (
        "tenant_queues_interactive_tag_check",
        "UPDATE tenant_queues SET interactive_tag = -1",
    ),
    (
        "tenant_queues_normal_tag_check",
        "UPDATE tenant_queues SET normal_tag = -1",
    ),
    (
        "tenants_name_check",
        "UPDATE tenants SET name = 'two words'",
    ),
    (
        "tenants_queue_limit_check",
        "UPDATE tenants SET queue_limit = -1",
    ),
    ("tenants_weight_check", "UPDATE tenants SET weight = 0"),
    (
        "webhooks_attempts_check",
        "UPDATE webhooks SET attempts = -1",
    ),
    (
        "webhooks_done_exactly_at_the_end",
        "UPDATE webhooks SET done_at = now()",
    ),
    (
        "webhooks_last_error_check",
        "UPDATE webhooks SET last_error = repeat('x', 1001)",
    ),
    (
        "webhooks_last_status_check",
        "UPDATE webhooks SET last_status = 99",
    ),
    (
        "webhooks_secret_check",
        "UPDATE webhooks SET secret = 'short'",
    ),
    (
        "webhooks_state_check",
        "UPDATE webhooks SET state = 'lost', done_at = now()",
    ),
    ("webhooks_url_check", "UPDATE webhooks SET url = ''"),
];

/// The rows of a farm that has done something and has something to do; nobody works on them any more.
async fn farm(sandbox: &Sandbox) -> Result<()> {
    let mut coordinator = sandbox.coordinator("one", &[])?;
    let (api, hand) = (&coordinator.api, Hand::new(sandbox).await?);
    let id = api.submit(&prompt("a city by day and by night")).await?.id;
    let plan = hand.next(JobKind::Plan).await?;
    hand.finish(plan, hand.planned(day_and_night(2)).await?)
        .await?;
    for shade in [1, 2] {
        let job = hand.next(JobKind::Render).await?;
        hand.finish(job, hand.rendered(shade).await?).await?;
    }
    let look = hand.next(JobKind::Critique).await?;
    hand.finish(look, hand.reviewed(&[Answer::Pass; 2]).await?)
        .await?;
    api.succeeded(id, SOON).await?;
    api.trace(id).await?;
    let waits = SubmitRequest {
        webhook: Some(Webhook {
            url: "https://example.com/hook".into(),
            secret: None,
        }),
        ..prompt("a cat")
    };
    let id = api.submit(&waits).await?.id;
    in_time("it is dispatched", SOON, async || {
        Ok(api.view(id).await?.jobs[0].state == "dispatched")
    })
    .await?;
    coordinator.program.kill()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_is_refused_by_the_schema() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    farm(&sandbox).await?;
    let mut database = sandbox.database().await?;
    let mut transaction = database.begin().await?;
    let cases = [REQUESTS, JOBS, OTHERS].concat();
    for (constraint, statement) in &cases {
        let mut tried = transaction.begin().await?;
        let refused = sqlx::query(*statement).execute(&mut *tried).await;
        tried.rollback().await?;
        let error = refused
            .err()
            .with_context(|| format!("{constraint} does not refuse: {statement}"))?;
        let of_database = error.as_database_error();
        let found = of_database.map(|error| (error.code(), error.constraint()));
        assert_eq!(
            found,
            Some((Some("23514".into()), Some(*constraint))),
            "{statement}: {error}"
        );
    }
    let all: Vec<String> = sqlx::query_scalar(
        // One that calls a function stands for the conditions that are named in it.
        "WITH checks AS (
             SELECT c.conname::text AS name, f.prosrc AS source
             FROM pg_constraint c
             LEFT JOIN pg_depend d ON d.objid = c.oid AND d.refclassid = 'pg_proc'::regclass
             LEFT JOIN pg_proc f ON f.oid = d.refobjid
             WHERE c.contype = 'c' AND c.connamespace = 'public'::regnamespace
         )
         SELECT name FROM checks WHERE source IS NULL
         UNION
         SELECT named[1] FROM checks, regexp_matches(source, 'IS FALSE\\s+THEN ''(\\w+)''', 'g') AS named",
    )
    .fetch_all(&mut *transaction)
    .await?;
    let all: BTreeSet<_> = all.iter().map(String::as_str).collect();
    let tried: BTreeSet<_> = cases.iter().map(|(constraint, _)| *constraint).collect();
    let missed: Vec<_> = all.difference(&tried).collect();
    assert!(missed.is_empty(), "without a case: {missed:?}");
    let unknown: Vec<_> = tried.difference(&all).collect();
    assert!(unknown.is_empty(), "not found in the schema: {unknown:?}");
    Ok(())
}
