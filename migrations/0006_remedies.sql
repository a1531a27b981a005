-- What follows a look at a picture in which checks failed: what is wrong, what was decided, what is mended, and after what no further round
-- begins. All of it is null or a constant for requests whose first picture is as wanted.

ALTER TABLE requests
    ADD COLUMN candidates  smallint NOT NULL DEFAULT 1,
    ADD COLUMN max_time_ms bigint,
    ADD COLUMN max_cost_ms bigint,
    ADD COLUMN findings    jsonb,
    ADD COLUMN decisions   jsonb,
    ADD CONSTRAINT requests_candidates_are_bounded CHECK (candidates BETWEEN 1 AND 4),
    ADD CONSTRAINT requests_limits_are_positive CHECK (max_time_ms > 0 AND max_cost_ms > 0),
    ADD CONSTRAINT requests_findings_are_an_object CHECK (jsonb_typeof(findings) = 'object'),
    ADD CONSTRAINT requests_decisions_are_a_list CHECK (jsonb_typeof(decisions) = 'array');

COMMENT ON COLUMN requests.candidates IS 'Drawings of the first round, each with its own critique. Immutable.';
COMMENT ON COLUMN requests.max_time_ms IS 'Milliseconds since created_at after which no further round begins; null is as long as it takes. Immutable.';
COMMENT ON COLUMN requests.max_cost_ms IS 'Milliseconds on devices after which no further round begins; null is as long as it takes. Immutable.';
COMMENT ON COLUMN requests.findings IS 'What is wrong with the best picture: {failed, fixes, contradictory, sentences}; null when nothing is. Changes with the picture.';
COMMENT ON COLUMN requests.decisions IS 'What was decided after looks at pictures with failed checks, [{round, action, reason, checks}]; null when there were none. Grows.';
COMMENT ON COLUMN requests.plan_sha256 IS 'The plan being carried out; at the end the one that the picture was drawn from. Changes when it is planned again.';
COMMENT ON COLUMN requests.plan_bytes IS 'Its length in bytes.';
COMMENT ON COLUMN requests.plan_checks IS 'How many checks it asks for.';
COMMENT ON COLUMN requests.image_sha256 IS 'The best picture so far. Replaced only by one that passes strictly more checks, or a larger share of them where the plan was made again.';

ALTER TABLE jobs
    ADD COLUMN candidate smallint NOT NULL DEFAULT 1,
    ADD COLUMN repair    jsonb,
    ADD CONSTRAINT jobs_candidate_is_bounded CHECK (candidate BETWEEN 1 AND 4),
    ADD CONSTRAINT jobs_repair_only_of_renders CHECK (repair IS NULL OR kind = 'render' AND jsonb_typeof(repair) = 'object'),
    DROP CONSTRAINT jobs_are_unique_work,
    ADD CONSTRAINT jobs_are_unique_work UNIQUE NULLS NOT DISTINCT (request_id, kind, round, stage, candidate);

COMMENT ON COLUMN jobs.candidate IS 'Which of the round''s candidates it belongs to, from 1. Immutable.';
COMMENT ON COLUMN jobs.repair IS 'What it mends, {fix, base}, when its stage is none of the plan''s; base is the picture that the first repair of a round begins with. Immutable.';
COMMENT ON COLUMN jobs.device_ms IS 'Time on devices, milliseconds; of all attempts that reported. Grows.';
COMMENT ON COLUMN jobs.detail IS 'What the trace tells of how it was done: the thought of a plan; steps, size, references and what was kept of its inputs of a render.';
COMMENT ON TABLE jobs IS 'Units of work for workers, one row each: one plan, one render per stage, candidate and round, one critique per candidate and round.';
