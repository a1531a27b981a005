-- The webhooks that requests asked for.

CREATE TABLE webhooks (
    request_id  uuid PRIMARY KEY REFERENCES requests (id) ON DELETE CASCADE,
    tenant_id   uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    url         text NOT NULL CHECK (octet_length(url) BETWEEN 1 AND 2000),
    secret      bytea CHECK (octet_length(secret) BETWEEN 24 AND 64),
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts    integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_at     timestamptz NOT NULL DEFAULT now(),
    last_status integer CHECK (last_status BETWEEN 100 AND 999),
    last_error  text CHECK (octet_length(last_error) <= 1000),
    created_at  timestamptz NOT NULL DEFAULT now(),
    done_at     timestamptz,
    CONSTRAINT webhooks_done_exactly_at_the_end CHECK ((done_at IS NULL) = (state = 'waiting'))
);

COMMENT ON TABLE webhooks IS 'Who is to be told of the end of a request; a row only for requests that asked for it.';
COMMENT ON COLUMN webhooks.request_id IS 'The request. Immutable.';
COMMENT ON COLUMN webhooks.tenant_id IS 'Its tenant. Immutable.';
COMMENT ON COLUMN webhooks.url IS 'Where the message goes. Immutable.';
COMMENT ON COLUMN webhooks.secret IS 'What it is signed with; null is the tenant''s own, which follows from the farm''s. Immutable.';
COMMENT ON COLUMN webhooks.state IS 'Waiting until the receiver has taken it (delivered) or it was given up (dead).';
COMMENT ON COLUMN webhooks.attempts IS 'Deliveries that were begun. Grows.';
COMMENT ON COLUMN webhooks.next_at IS 'Not tried before; while a coordinator is at it, when another may take it over. Mutable while waiting.';
COMMENT ON COLUMN webhooks.last_status IS 'HTTP status of the last answer; null when there was none. Mutable while waiting.';
COMMENT ON COLUMN webhooks.last_error IS 'What was wrong with the last delivery, for people. Mutable while waiting.';
COMMENT ON COLUMN webhooks.created_at IS 'When the request was accepted. Immutable.';
COMMENT ON COLUMN webhooks.done_at IS 'When it was delivered or given up. Written once.';

CREATE INDEX webhooks_waiting ON webhooks (next_at) WHERE state = 'waiting';
CREATE INDEX webhooks_of_tenant ON webhooks (tenant_id, request_id);
