-- What a row must not be, said by one function a table. PostgreSQL reads the text of every CHECK of a table anew for each statement that writes
-- to it, which took as long as writing the row; a function it reads once a session. The conditions are those that the CHECKs had, and what breaks
-- one is refused under its name, as before: SQLSTATE 23514 with the name as the constraint. As in a CHECK, what is null breaks nothing.

CREATE FUNCTION atelier_request_holds(
    idempotency_key text, body_sha256 bytea, prompt text, think text, priority text, steps integer, width integer, height integer,
    max_rounds smallint, pictures jsonb, direct_plan_sha256 bytea, direct_plan_bytes bigint, state text, reason text, round smallint,
    plan_sha256 bytea, plan_bytes bigint, plan_checks integer, image_sha256 bytea, image_bytes bigint, image_round smallint, score_pass integer,
    score_fail integer, score_unknown integer, finished_at timestamptz, trace_sha256 bytea, trace_bytes bigint, fair_tag bigint, traceparent text,
    candidates smallint, max_time_ms bigint, max_cost_ms bigint, findings jsonb, decisions jsonb, plan_only boolean, think_tokens integer
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    broken text := CASE
        WHEN (octet_length(body_sha256) = 32) IS FALSE THEN 'requests_body_sha256_check'
        WHEN (candidates BETWEEN 1 AND 4) IS FALSE THEN 'requests_candidates_are_bounded'
        WHEN (jsonb_typeof(decisions) = 'array') IS FALSE THEN 'requests_decisions_are_a_list'
        WHEN (direct_plan_bytes > 0) IS FALSE THEN 'requests_direct_plan_bytes_check'
        WHEN (octet_length(direct_plan_sha256) = 32) IS FALSE THEN 'requests_direct_plan_sha256_check'
        WHEN (fair_tag >= 0) IS FALSE THEN 'requests_fair_tag_check'
        WHEN (jsonb_typeof(findings) = 'object') IS FALSE THEN 'requests_findings_are_an_object'
        WHEN ((finished_at IS NULL) = (state = 'active')) IS FALSE THEN 'requests_finished_exactly_at_the_end'
        WHEN (height > 0) IS FALSE THEN 'requests_height_check'
        WHEN (octet_length(idempotency_key) BETWEEN 1 AND 255) IS FALSE THEN 'requests_idempotency_key_check'
        WHEN (image_bytes > 0) IS FALSE THEN 'requests_image_bytes_check'
        WHEN (image_round BETWEEN 1 AND round) IS FALSE THEN 'requests_image_is_of_a_round'
        WHEN (num_nulls(image_sha256, image_bytes, image_round) IN (0, 3)) IS FALSE THEN 'requests_image_is_whole'
        WHEN (octet_length(image_sha256) = 32) IS FALSE THEN 'requests_image_sha256_check'
        WHEN (max_time_ms > 0 AND max_cost_ms > 0) IS FALSE THEN 'requests_limits_are_positive'
        WHEN (max_rounds BETWEEN 1 AND 4) IS FALSE THEN 'requests_max_rounds_check'
        WHEN (jsonb_typeof(pictures) = 'array' AND jsonb_array_length(pictures) <= 8) IS FALSE THEN 'requests_pictures_check'
        WHEN (plan_bytes > 0) IS FALSE THEN 'requests_plan_bytes_check'
        WHEN (plan_checks >= 0) IS FALSE THEN 'requests_plan_checks_check'
        WHEN (num_nulls(plan_sha256, plan_bytes, plan_checks) IN (0, 3)) IS FALSE THEN 'requests_plan_is_whole'
        WHEN (NOT plan_only OR (image_sha256 IS NULL AND think <> 'off')) IS FALSE THEN 'requests_plan_only_draw_nothing'
        WHEN (octet_length(plan_sha256) = 32) IS FALSE THEN 'requests_plan_sha256_check'
        WHEN (priority IN ('interactive', 'normal', 'batch')) IS FALSE THEN 'requests_priority_check'
        WHEN (octet_length(prompt) BETWEEN 1 AND 4000) IS FALSE THEN 'requests_prompt_check'
        WHEN ((reason IS NULL) = (state IN ('active', 'succeeded'))) IS FALSE THEN 'requests_reason_exactly_without_success'
        WHEN (round BETWEEN 1 AND max_rounds) IS FALSE THEN 'requests_rounds_are_bounded'
        WHEN (score_fail >= 0) IS FALSE THEN 'requests_score_fail_check'
        WHEN (score_pass IS NULL OR image_sha256 IS NOT NULL) IS FALSE THEN 'requests_score_is_of_an_image'
        WHEN (num_nulls(score_pass, score_fail, score_unknown) IN (0, 3)) IS FALSE THEN 'requests_score_is_whole'
        WHEN (score_pass >= 0) IS FALSE THEN 'requests_score_pass_check'
        WHEN (score_unknown >= 0) IS FALSE THEN 'requests_score_unknown_check'
        WHEN ((width IS NULL) = (height IS NULL)) IS FALSE THEN 'requests_size_is_whole'
        WHEN (state IN ('active', 'succeeded', 'failed', 'canceled')) IS FALSE THEN 'requests_state_check'
        WHEN (steps > 0) IS FALSE THEN 'requests_steps_check'
        WHEN (state <> 'succeeded' OR (NOT plan_only AND image_sha256 IS NOT NULL) OR (plan_only AND plan_sha256 IS NOT NULL)) IS FALSE
            THEN 'requests_succeed_with_a_picture'
        WHEN (think IN ('off', 'fast', 'full')) IS FALSE THEN 'requests_think_check'
        WHEN (think_tokens BETWEEN 1 AND 4096) IS FALSE THEN 'requests_think_tokens_are_bounded'
        WHEN (trace_sha256 IS NULL OR state <> 'active') IS FALSE THEN 'requests_trace_after_the_end'
        WHEN (trace_bytes > 0) IS FALSE THEN 'requests_trace_bytes_check'
        WHEN (num_nulls(trace_sha256, trace_bytes) IN (0, 2)) IS FALSE THEN 'requests_trace_is_whole'
        WHEN (octet_length(trace_sha256) = 32) IS FALSE THEN 'requests_trace_sha256_check'
        WHEN (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$') IS FALSE THEN 'requests_traceparent_is_one'
        WHEN (width > 0) IS FALSE THEN 'requests_width_check'
    END;
BEGIN
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'a row of requests would break %', broken USING ERRCODE = 'check_violation', TABLE = 'requests', CONSTRAINT = broken;
    END IF;
    RETURN true;
END
$$;

COMMENT ON FUNCTION atelier_request_holds IS 'True of a row of requests that may be; raises the name of what another one breaks.';

ALTER TABLE requests
    DROP CONSTRAINT requests_body_sha256_check,
    DROP CONSTRAINT requests_candidates_are_bounded,
    DROP CONSTRAINT requests_decisions_are_a_list,
    DROP CONSTRAINT requests_direct_plan_bytes_check,
    DROP CONSTRAINT requests_direct_plan_sha256_check,
    DROP CONSTRAINT requests_fair_tag_check,
    DROP CONSTRAINT requests_findings_are_an_object,
    DROP CONSTRAINT requests_finished_exactly_at_the_end,
    DROP CONSTRAINT requests_height_check,
    DROP CONSTRAINT requests_idempotency_key_check,
    DROP CONSTRAINT requests_image_bytes_check,
    DROP CONSTRAINT requests_image_is_of_a_round,
    DROP CONSTRAINT requests_image_is_whole,
    DROP CONSTRAINT requests_image_sha256_check,
    DROP CONSTRAINT requests_limits_are_positive,
    DROP CONSTRAINT requests_max_rounds_check,
    DROP CONSTRAINT requests_pictures_check,
    DROP CONSTRAINT requests_plan_bytes_check,
    DROP CONSTRAINT requests_plan_checks_check,
    DROP CONSTRAINT requests_plan_is_whole,
    DROP CONSTRAINT requests_plan_only_draw_nothing,
    DROP CONSTRAINT requests_plan_sha256_check,
    DROP CONSTRAINT requests_priority_check,
    DROP CONSTRAINT requests_prompt_check,
    DROP CONSTRAINT requests_reason_exactly_without_success,
    DROP CONSTRAINT requests_rounds_are_bounded,
    DROP CONSTRAINT requests_score_fail_check,
    DROP CONSTRAINT requests_score_is_of_an_image,
    DROP CONSTRAINT requests_score_is_whole,
    DROP CONSTRAINT requests_score_pass_check,
    DROP CONSTRAINT requests_score_unknown_check,
    DROP CONSTRAINT requests_size_is_whole,
    DROP CONSTRAINT requests_state_check,
    DROP CONSTRAINT requests_steps_check,
    DROP CONSTRAINT requests_succeed_with_a_picture,
    DROP CONSTRAINT requests_think_check,
    DROP CONSTRAINT requests_think_tokens_are_bounded,
    DROP CONSTRAINT requests_trace_after_the_end,
    DROP CONSTRAINT requests_trace_bytes_check,
    DROP CONSTRAINT requests_trace_is_whole,
    DROP CONSTRAINT requests_trace_sha256_check,
    DROP CONSTRAINT requests_traceparent_is_one,
    DROP CONSTRAINT requests_width_check,
    ADD CONSTRAINT requests_hold CHECK (atelier_request_holds(
        idempotency_key, body_sha256, prompt, think, priority, steps, width, height, max_rounds, pictures, direct_plan_sha256, direct_plan_bytes,
        state, reason, round, plan_sha256, plan_bytes, plan_checks, image_sha256, image_bytes, image_round, score_pass, score_fail, score_unknown,
        finished_at, trace_sha256, trace_bytes, fair_tag, traceparent, candidates, max_time_ms, max_cost_ms, findings, decisions, plan_only,
        think_tokens
    ));

CREATE FUNCTION atelier_job_holds(
    "position" smallint, kind text, round smallint, stage text, op text, state text, attempt integer, failures integer, input_pictures jsonb,
    not_before timestamptz, lease_until timestamptz, reason text, artifact_sha256 bytea, artifact_bytes bigint, score_pass integer,
    score_fail integer, score_unknown integer, device_ms bigint, finished_at timestamptz, priority text, fair_tag bigint, begun_attempt integer,
    computed_attempt integer, losses integer, candidate smallint, repair jsonb
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    broken text := CASE
        WHEN (artifact_bytes > 0) IS FALSE THEN 'jobs_artifact_bytes_check'
        WHEN ((artifact_sha256 IS NOT NULL) = (state = 'done') AND num_nulls(artifact_sha256, artifact_bytes) IN (0, 2)) IS FALSE THEN 'jobs_artifact_exactly_when_done'
        WHEN (octet_length(artifact_sha256) = 32) IS FALSE THEN 'jobs_artifact_sha256_check'
        WHEN (attempt >= 0) IS FALSE THEN 'jobs_attempt_check'
        WHEN (begun_attempt BETWEEN 0 AND attempt) IS FALSE THEN 'jobs_begun_is_an_attempt'
        WHEN (candidate BETWEEN 1 AND 4) IS FALSE THEN 'jobs_candidate_is_bounded'
        WHEN (failures BETWEEN 0 AND attempt) IS FALSE THEN 'jobs_check'
        WHEN (computed_attempt BETWEEN 0 AND begun_attempt) IS FALSE THEN 'jobs_computed_has_begun'
        WHEN (device_ms >= 0) IS FALSE THEN 'jobs_device_ms_check'
        WHEN (state NOT IN ('dispatched', 'done', 'failed') OR attempt > 0) IS FALSE THEN 'jobs_dispatched_is_an_attempt'
        WHEN (fair_tag >= 0) IS FALSE THEN 'jobs_fair_tag_check'
        WHEN ((finished_at IS NOT NULL) = (state IN ('done', 'failed', 'canceled'))) IS FALSE THEN 'jobs_finished_exactly_at_the_end'
        WHEN (jsonb_typeof(input_pictures) = 'array') IS FALSE THEN 'jobs_input_pictures_check'
        WHEN (kind IN ('plan', 'render', 'critique')) IS FALSE THEN 'jobs_kind_check'
        WHEN ((lease_until IS NOT NULL) = (state = 'dispatched')) IS FALSE THEN 'jobs_lease_exactly_when_dispatched'
        WHEN (losses BETWEEN 0 AND attempt) IS FALSE THEN 'jobs_losses_are_attempts'
        WHEN ((not_before IS NOT NULL) = (state = 'ready')) IS FALSE THEN 'jobs_not_before_exactly_when_ready'
        WHEN ("position" >= 0) IS FALSE THEN 'jobs_position_check'
        WHEN (priority IN ('interactive', 'normal', 'batch')) IS FALSE THEN 'jobs_priority_check'
        WHEN ((reason IS NOT NULL) = (state = 'failed')) IS FALSE THEN 'jobs_reason_exactly_when_failed'
        WHEN (repair IS NULL OR (kind = 'render' AND jsonb_typeof(repair) = 'object')) IS FALSE THEN 'jobs_repair_only_of_renders'
        WHEN (round BETWEEN 1 AND 4) IS FALSE THEN 'jobs_round_check'
        WHEN ((score_pass IS NOT NULL) = (kind = 'critique' AND state = 'done') AND num_nulls(score_pass, score_fail, score_unknown) IN (0, 3)) IS FALSE
            THEN 'jobs_score_exactly_of_reviews'
        WHEN (score_fail >= 0) IS FALSE THEN 'jobs_score_fail_check'
        WHEN (score_pass >= 0) IS FALSE THEN 'jobs_score_pass_check'
        WHEN (score_unknown >= 0) IS FALSE THEN 'jobs_score_unknown_check'
        WHEN ((kind = 'render') = (stage IS NOT NULL) AND (stage IS NULL) = (op IS NULL)) IS FALSE THEN 'jobs_stage_exactly_of_renders'
        WHEN (state IN ('waiting', 'ready', 'dispatched', 'done', 'failed', 'canceled')) IS FALSE THEN 'jobs_state_check'
    END;
BEGIN
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'a row of jobs would break %', broken USING ERRCODE = 'check_violation', TABLE = 'jobs', CONSTRAINT = broken;
    END IF;
    RETURN true;
END
$$;

COMMENT ON FUNCTION atelier_job_holds IS 'True of a row of jobs that may be; raises the name of what another one breaks.';

ALTER TABLE jobs
    DROP CONSTRAINT jobs_artifact_bytes_check,
    DROP CONSTRAINT jobs_artifact_exactly_when_done,
    DROP CONSTRAINT jobs_artifact_sha256_check,
    DROP CONSTRAINT jobs_attempt_check,
    DROP CONSTRAINT jobs_begun_is_an_attempt,
    DROP CONSTRAINT jobs_candidate_is_bounded,
    DROP CONSTRAINT jobs_check,
    DROP CONSTRAINT jobs_computed_has_begun,
    DROP CONSTRAINT jobs_device_ms_check,
    DROP CONSTRAINT jobs_dispatched_is_an_attempt,
    DROP CONSTRAINT jobs_fair_tag_check,
    DROP CONSTRAINT jobs_finished_exactly_at_the_end,
    DROP CONSTRAINT jobs_input_pictures_check,
    DROP CONSTRAINT jobs_kind_check,
    DROP CONSTRAINT jobs_lease_exactly_when_dispatched,
    DROP CONSTRAINT jobs_losses_are_attempts,
    DROP CONSTRAINT jobs_not_before_exactly_when_ready,
    DROP CONSTRAINT jobs_position_check,
    DROP CONSTRAINT jobs_priority_check,
    DROP CONSTRAINT jobs_reason_exactly_when_failed,
    DROP CONSTRAINT jobs_repair_only_of_renders,
    DROP CONSTRAINT jobs_round_check,
    DROP CONSTRAINT jobs_score_exactly_of_reviews,
    DROP CONSTRAINT jobs_score_fail_check,
    DROP CONSTRAINT jobs_score_pass_check,
    DROP CONSTRAINT jobs_score_unknown_check,
    DROP CONSTRAINT jobs_stage_exactly_of_renders,
    DROP CONSTRAINT jobs_state_check,
    ADD CONSTRAINT jobs_hold CHECK (atelier_job_holds(
        "position", kind, round, stage, op, state, attempt, failures, input_pictures, not_before, lease_until, reason, artifact_sha256,
        artifact_bytes, score_pass, score_fail, score_unknown, device_ms, finished_at, priority, fair_tag, begun_attempt, computed_attempt, losses,
        candidate, repair
    ));
