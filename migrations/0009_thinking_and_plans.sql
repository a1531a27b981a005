-- Full thinking, and requests that end with their plan. A plan that a user gives stands where the direct plan does, so that it needs no column.

ALTER TABLE requests
    ADD COLUMN plan_only boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT requests_think_check,
    ADD CONSTRAINT requests_think_check CHECK (think IN ('off', 'fast', 'full')),
    DROP CONSTRAINT requests_succeed_with_a_picture,
    ADD CONSTRAINT requests_succeed_with_a_picture
        CHECK (state <> 'succeeded' OR (NOT plan_only AND image_sha256 IS NOT NULL) OR (plan_only AND plan_sha256 IS NOT NULL)),
    ADD CONSTRAINT requests_plan_only_draw_nothing CHECK (NOT plan_only OR (image_sha256 IS NULL AND think <> 'off'));

COMMENT ON COLUMN requests.plan_only IS 'Whether it ends with its plan and nothing is drawn. Immutable.';
COMMENT ON COLUMN requests.think IS 'How much is thought: a plan is made directly (fast) or after free thought (full), or nothing is planned (off): the direct plan is carried out. Immutable.';
COMMENT ON COLUMN requests.direct_plan_sha256 IS 'What is carried out when nothing is planned or planning fails: the plan that the user gave, else the prompt as a one-stage plan. Immutable.';
