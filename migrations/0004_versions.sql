-- What a coordinator needs to save from memory: a version of each request that fences the write, and a function that undoes a statement
-- whose fences did not hold. Also, no job is indexed twice by its request.

ALTER TABLE requests ADD COLUMN version bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN requests.version IS 'Counts the changes of the request and its jobs by the state machine; a write names the version that it was made from.';

CREATE FUNCTION atelier_fence(wrote bigint, wanted integer, what text) RETURNS integer
LANGUAGE plpgsql AS $$
BEGIN
    IF wrote <> wanted THEN
        RAISE EXCEPTION '%: wrote % rows instead of %', what, wrote, wanted USING ERRCODE = 'AT001';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION atelier_fence IS 'Fails, with SQLSTATE AT001, when a statement hit other rows than it named; null otherwise.';

-- The order of a request's jobs is the state machine's; the unique work of a request finds them as well.
ALTER TABLE jobs DROP CONSTRAINT jobs_have_one_position;

COMMENT ON COLUMN requests.direct_plan_sha256 IS 'What the prompt is called as a one-stage plan. It follows from the prompt, and is stored before it becomes the plan: when planning is off, or failed. Immutable.';
