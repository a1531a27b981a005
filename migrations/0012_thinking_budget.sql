-- How long a planner may think in free words.

ALTER TABLE requests
    ADD COLUMN think_tokens integer,
    ADD CONSTRAINT requests_think_tokens_are_bounded CHECK (think_tokens BETWEEN 1 AND 4096);

COMMENT ON COLUMN requests.think_tokens IS 'Most tokens of the free thought before a plan, where the planner can think; null is as many as the planner likes. Immutable.';
