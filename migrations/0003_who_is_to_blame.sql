-- How far an attempt is in its worker's hands, so that a worker's death counts only against the job that was on its device.
-- Both are attempt numbers and not flags: the next attempt begins without anybody having to take them back.

ALTER TABLE jobs
    ADD COLUMN begun_attempt    integer NOT NULL DEFAULT 0,
    ADD COLUMN computed_attempt integer NOT NULL DEFAULT 0,
    ADD COLUMN losses           integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT jobs_begun_is_an_attempt CHECK (begun_attempt BETWEEN 0 AND attempt),
    ADD CONSTRAINT jobs_computed_has_begun CHECK (computed_attempt BETWEEN 0 AND begun_attempt),
    ADD CONSTRAINT jobs_losses_are_attempts CHECK (losses BETWEEN 0 AND attempt);

COMMENT ON COLUMN jobs.begun_attempt IS 'The newest attempt that a worker is known to have put on its device; 0 before the first. Grows.';
COMMENT ON COLUMN jobs.computed_attempt IS 'The newest attempt that is known to have left the device again; while it is less than begun_attempt, that attempt is on it. Grows.';
COMMENT ON COLUMN jobs.losses IS 'Executions that were lost in a worker''s hands without being computed; nobody is blamed, but there is a limit. Grows.';
COMMENT ON COLUMN jobs.failures IS 'Executions that failed, by report or because their worker died while it computed them. Grows.';
COMMENT ON COLUMN jobs.dead_workers IS 'Different workers that it failed on, by report or by their death, in order. Grows.';
