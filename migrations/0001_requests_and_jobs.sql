-- Requests and their jobs: the only truth of the farm. Everything larger than a row's worth is an artifact in the object store
-- and stands here as its SHA-256 and length. Times are by this server's clock. "Immutable" = never changes after the insert.

CREATE TABLE requests (
    -- Immutable: what was asked.
    id                 uuid PRIMARY KEY,
    idempotency_key    text UNIQUE CHECK (octet_length(idempotency_key) BETWEEN 1 AND 255),
    body_sha256        bytea NOT NULL CHECK (octet_length(body_sha256) = 32),
    model              text NOT NULL,
    prompt             text NOT NULL CHECK (octet_length(prompt) BETWEEN 1 AND 4000),
    seed               bigint NOT NULL,
    think              text NOT NULL CHECK (think IN ('off', 'fast')),
    priority           text NOT NULL CHECK (priority IN ('interactive', 'normal', 'batch')),
    steps              integer CHECK (steps > 0),
    width              integer CHECK (width > 0),
    height             integer CHECK (height > 0),
    max_rounds         smallint NOT NULL CHECK (max_rounds BETWEEN 1 AND 4),
    pictures           jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(pictures) = 'array' AND jsonb_array_length(pictures) <= 8),
    direct_plan_sha256 bytea NOT NULL CHECK (octet_length(direct_plan_sha256) = 32),
    direct_plan_bytes  bigint NOT NULL CHECK (direct_plan_bytes > 0),
    created_at         timestamptz NOT NULL DEFAULT now(),

    -- Mutable while active.
    state              text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'succeeded', 'failed', 'canceled')),
    reason             text,
    round              smallint NOT NULL DEFAULT 1,
    plan_sha256        bytea CHECK (octet_length(plan_sha256) = 32),
    plan_bytes         bigint CHECK (plan_bytes > 0),
    plan_checks        integer CHECK (plan_checks >= 0),
    image_sha256       bytea CHECK (octet_length(image_sha256) = 32),
    image_bytes        bigint CHECK (image_bytes > 0),
    image_round        smallint,
    score_pass         integer CHECK (score_pass >= 0),
    score_fail         integer CHECK (score_fail >= 0),
    score_unknown      integer CHECK (score_unknown >= 0),
    notes              text[] NOT NULL DEFAULT '{}',
    finished_at        timestamptz,

    -- Written once, after the end.
    trace_sha256       bytea CHECK (octet_length(trace_sha256) = 32),
    trace_bytes        bigint CHECK (trace_bytes > 0),

    CONSTRAINT requests_size_is_whole CHECK ((width IS NULL) = (height IS NULL)),
    CONSTRAINT requests_finished_exactly_at_the_end CHECK ((finished_at IS NULL) = (state = 'active')),
    CONSTRAINT requests_reason_exactly_without_success CHECK ((reason IS NULL) = (state IN ('active', 'succeeded'))),
    CONSTRAINT requests_succeed_with_a_picture CHECK (state <> 'succeeded' OR image_sha256 IS NOT NULL),
    CONSTRAINT requests_rounds_are_bounded CHECK (round BETWEEN 1 AND max_rounds),
    CONSTRAINT requests_plan_is_whole CHECK (num_nulls(plan_sha256, plan_bytes, plan_checks) IN (0, 3)),
    CONSTRAINT requests_image_is_whole CHECK (num_nulls(image_sha256, image_bytes, image_round) IN (0, 3)),
    CONSTRAINT requests_image_is_of_a_round CHECK (image_round BETWEEN 1 AND round),
    CONSTRAINT requests_score_is_whole CHECK (num_nulls(score_pass, score_fail, score_unknown) IN (0, 3)),
    CONSTRAINT requests_score_is_of_an_image CHECK (score_pass IS NULL OR image_sha256 IS NOT NULL),
    CONSTRAINT requests_trace_is_whole CHECK (num_nulls(trace_sha256, trace_bytes) IN (0, 2)),
    CONSTRAINT requests_trace_after_the_end CHECK (trace_sha256 IS NULL OR state <> 'active')
) WITH (fillfactor = 80);

COMMENT ON TABLE requests IS 'What users submitted, one row each, and where it stands.';
COMMENT ON COLUMN requests.id IS 'UUID of version 7: sorts by the time it was made. Immutable.';
COMMENT ON COLUMN requests.idempotency_key IS 'The caller''s own name for this submit; a second submit with it makes no second request. Immutable.';
COMMENT ON COLUMN requests.body_sha256 IS 'Digest of the submitted body: tells a repeated submit from another one under the same key. Immutable.';
COMMENT ON COLUMN requests.model IS 'Model of the coordinator that accepted it. Immutable.';
COMMENT ON COLUMN requests.prompt IS 'What to draw, as the user wrote it; bytes of UTF-8. Immutable.';
COMMENT ON COLUMN requests.seed IS 'The seed everything derives from: the bits of an unsigned 64-bit number. Immutable.';
COMMENT ON COLUMN requests.think IS 'Whether a plan is made first (fast) or the prompt is drawn as it is (off). Immutable.';
COMMENT ON COLUMN requests.priority IS 'How urgent. Immutable.';
COMMENT ON COLUMN requests.steps IS 'Denoise steps; null is the model''s default. Immutable.';
COMMENT ON COLUMN requests.width IS 'Width of the picture, pixels; null is the model''s default. Immutable.';
COMMENT ON COLUMN requests.height IS 'Height of the picture, pixels; null is the model''s default. Immutable.';
COMMENT ON COLUMN requests.max_rounds IS 'Most passes of render and critique. Immutable.';
COMMENT ON COLUMN requests.pictures IS 'The user''s own pictures of things: [{name, picture: {sha256, bytes, media_type}}]. Immutable.';
COMMENT ON COLUMN requests.direct_plan_sha256 IS 'The prompt as a one-stage plan, stored at submit: carried out when planning is off or fails. Immutable.';
COMMENT ON COLUMN requests.direct_plan_bytes IS 'Its length in bytes. Immutable.';
COMMENT ON COLUMN requests.created_at IS 'When it became durable. Immutable.';
COMMENT ON COLUMN requests.state IS 'Active until it ends; then it never changes again.';
COMMENT ON COLUMN requests.reason IS 'Why it failed or was canceled, for people. Written with the end.';
COMMENT ON COLUMN requests.round IS 'The round it is in, from 1. Grows.';
COMMENT ON COLUMN requests.plan_sha256 IS 'The plan being carried out. Written once.';
COMMENT ON COLUMN requests.plan_bytes IS 'Its length in bytes. Written once.';
COMMENT ON COLUMN requests.plan_checks IS 'How many checks it asks for. Written once.';
COMMENT ON COLUMN requests.image_sha256 IS 'The best picture so far. Replaced only by one that passes strictly more checks.';
COMMENT ON COLUMN requests.image_bytes IS 'Its length in bytes.';
COMMENT ON COLUMN requests.image_round IS 'The round that drew it.';
COMMENT ON COLUMN requests.score_pass IS 'Checks that the best picture passes; null before its critique.';
COMMENT ON COLUMN requests.score_fail IS 'Checks that it fails.';
COMMENT ON COLUMN requests.score_unknown IS 'Checks without an answer.';
COMMENT ON COLUMN requests.notes IS 'What people should know about how it went, for example that planning failed. Grows.';
COMMENT ON COLUMN requests.finished_at IS 'When it ended. Written with the end.';
COMMENT ON COLUMN requests.trace_sha256 IS 'The trace, once it is in the store. Written once.';
COMMENT ON COLUMN requests.trace_bytes IS 'Its length in bytes. Written once.';

-- Traces that are still to be written.
CREATE INDEX requests_without_trace ON requests (finished_at) WHERE trace_sha256 IS NULL AND state <> 'active';

CREATE TABLE jobs (
    -- Immutable: what the work is.
    id              uuid PRIMARY KEY,
    request_id      uuid NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    position        smallint NOT NULL CHECK (position >= 0),
    kind            text NOT NULL CHECK (kind IN ('plan', 'render', 'critique')),
    round           smallint NOT NULL CHECK (round BETWEEN 1 AND 4),
    stage           text,
    op              text,
    inputs          text[] NOT NULL DEFAULT '{}',
    seed            bigint NOT NULL,
    queue_rank      bigint NOT NULL,
    made_at         timestamptz NOT NULL DEFAULT now(),

    -- Mutable until it ends.
    state           text NOT NULL CHECK (state IN ('waiting', 'ready', 'dispatched', 'done', 'failed', 'canceled')),
    attempt         integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    failures        integer NOT NULL DEFAULT 0 CHECK (failures BETWEEN 0 AND attempt),
    dead_workers    uuid[] NOT NULL DEFAULT '{}',
    input_pictures  jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(input_pictures) = 'array'),
    not_before      timestamptz,
    lease_until     timestamptz,
    worker_id       uuid,
    stream_epoch    bigint,
    stream_sequence bigint,
    ready_at        timestamptz,

    -- Written with the end.
    reason          text,
    artifact_sha256 bytea CHECK (octet_length(artifact_sha256) = 32),
    artifact_bytes  bigint CHECK (artifact_bytes > 0),
    score_pass      integer CHECK (score_pass >= 0),
    score_fail      integer CHECK (score_fail >= 0),
    score_unknown   integer CHECK (score_unknown >= 0),
    detail          jsonb,
    device_ms       bigint CHECK (device_ms >= 0),
    finished_at     timestamptz,

    CONSTRAINT jobs_are_unique_work UNIQUE NULLS NOT DISTINCT (request_id, kind, round, stage),
    CONSTRAINT jobs_have_one_position UNIQUE (request_id, position),
    CONSTRAINT jobs_stage_exactly_of_renders CHECK ((kind = 'render') = (stage IS NOT NULL) AND (stage IS NULL) = (op IS NULL)),
    CONSTRAINT jobs_not_before_exactly_when_ready CHECK ((not_before IS NOT NULL) = (state = 'ready')),
    CONSTRAINT jobs_lease_exactly_when_dispatched CHECK ((lease_until IS NOT NULL) = (state = 'dispatched')),
    CONSTRAINT jobs_dispatched_is_an_attempt CHECK (state NOT IN ('dispatched', 'done', 'failed') OR attempt > 0),
    CONSTRAINT jobs_artifact_exactly_when_done CHECK ((artifact_sha256 IS NOT NULL) = (state = 'done') AND num_nulls(artifact_sha256, artifact_bytes) IN (0, 2)),
    CONSTRAINT jobs_reason_exactly_when_failed CHECK ((reason IS NOT NULL) = (state = 'failed')),
    CONSTRAINT jobs_score_exactly_of_reviews CHECK ((score_pass IS NOT NULL) = (kind = 'critique' AND state = 'done') AND num_nulls(score_pass, score_fail, score_unknown) IN (0, 3)),
    CONSTRAINT jobs_finished_exactly_at_the_end CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'failed', 'canceled')))
) WITH (fillfactor = 70);

COMMENT ON TABLE jobs IS 'Units of work for workers, one row each: one plan, one render per stage and round, one critique per round.';
COMMENT ON COLUMN jobs.id IS 'UUID of version 7, derived from the request and what the job is. Immutable.';
COMMENT ON COLUMN jobs.request_id IS 'The request it belongs to. Immutable.';
COMMENT ON COLUMN jobs.position IS 'Its place among the jobs of the request, from 0, in the order they were made. Immutable.';
COMMENT ON COLUMN jobs.kind IS 'Kind, and the role a worker needs for it. Immutable.';
COMMENT ON COLUMN jobs.round IS 'The round it belongs to, from 1. Immutable.';
COMMENT ON COLUMN jobs.stage IS 'Id of the stage that it draws; renders only. Immutable.';
COMMENT ON COLUMN jobs.op IS 'What the stage does: generate, edit, blend, repair. Immutable.';
COMMENT ON COLUMN jobs.inputs IS 'Ids of the stages whose pictures it reads, in order. Immutable.';
COMMENT ON COLUMN jobs.seed IS 'Seed of its noise or sampling: the bits of an unsigned 64-bit number. Immutable.';
COMMENT ON COLUMN jobs.queue_rank IS 'Smaller goes first: milliseconds since 1970 when the request was accepted, plus the handicap of its priority. Immutable.';
COMMENT ON COLUMN jobs.made_at IS 'When it was made. Immutable.';
COMMENT ON COLUMN jobs.state IS 'waiting -> ready -> dispatched -> done or failed, back to ready between attempts, canceled from any of the first three.';
COMMENT ON COLUMN jobs.attempt IS 'Executions begun; counted up by each dispatch. Fences late answers: a report for another number changes nothing.';
COMMENT ON COLUMN jobs.failures IS 'Executions that failed or were lost with their worker.';
COMMENT ON COLUMN jobs.dead_workers IS 'Different workers that fell silent with it in their hands, in order.';
COMMENT ON COLUMN jobs.input_pictures IS 'The pictures it reads, [{sha256, bytes, media_type}], in the order of inputs; of a critique the one it looks at. Written when it becomes ready.';
COMMENT ON COLUMN jobs.not_before IS 'A ready job is not dispatched before this.';
COMMENT ON COLUMN jobs.lease_until IS 'A dispatched job without a sign of life until then is lost.';
COMMENT ON COLUMN jobs.worker_id IS 'Who has it in its hands, or had it last; null while it queues.';
COMMENT ON COLUMN jobs.stream_epoch IS 'When the stream was made that its message is in, milliseconds since 1970: a stream made anew does not hold it. Null until looked at.';
COMMENT ON COLUMN jobs.stream_sequence IS 'Sequence number of its message in that stream.';
COMMENT ON COLUMN jobs.ready_at IS 'When it first became ready.';
COMMENT ON COLUMN jobs.reason IS 'Why it failed, for people.';
COMMENT ON COLUMN jobs.artifact_sha256 IS 'What it made: a plan, a picture or a review. Named only after the object store acknowledged it.';
COMMENT ON COLUMN jobs.artifact_bytes IS 'Its length in bytes.';
COMMENT ON COLUMN jobs.score_pass IS 'Checks that passed; critiques only.';
COMMENT ON COLUMN jobs.score_fail IS 'Checks that failed; critiques only.';
COMMENT ON COLUMN jobs.score_unknown IS 'Checks without an answer; critiques only.';
COMMENT ON COLUMN jobs.detail IS 'What the trace tells of how it was done: the thought of a plan; steps, size and references of a render.';
COMMENT ON COLUMN jobs.device_ms IS 'Time on the device, milliseconds.';
COMMENT ON COLUMN jobs.finished_at IS 'When it ended.';

-- What dispatch takes next, by kind.
CREATE INDEX jobs_ready ON jobs (kind, queue_rank, id) WHERE state = 'ready';
-- What is out, for leases and for the width of the queue.
CREATE INDEX jobs_dispatched ON jobs (lease_until) WHERE state = 'dispatched';
