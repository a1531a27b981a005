-- Tenants: whose a request is, who may ask, whose turn it is, and how much may wait.
-- Nothing here rewrites a table: what is new on rows from before is a constant.

CREATE TABLE tenants (
    id          uuid PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9._-]{1,64}$'),
    weight      integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
    queue_limit bigint CHECK (queue_limit >= 0),
    created_at  timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE tenants IS 'Those who share the farm. What is kept here changes only by hand.';
COMMENT ON COLUMN tenants.id IS 'UUID of version 7. Immutable.';
COMMENT ON COLUMN tenants.name IS 'Name for people and for the command line. Immutable.';
COMMENT ON COLUMN tenants.weight IS 'Its share: weight 3 gets three times as much as weight 1 while both have work waiting. Mutable.';
COMMENT ON COLUMN tenants.queue_limit IS 'Most active requests; null is the coordinator''s own limit. Mutable.';
COMMENT ON COLUMN tenants.created_at IS 'When it was made. Immutable.';

-- The tenant of a farm that has only one, and of every request from before there were tenants.
INSERT INTO tenants (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'local');

CREATE TABLE api_keys (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(key_sha256) = 32),
    note       text NOT NULL DEFAULT '' CHECK (octet_length(note) <= 1000),
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

COMMENT ON TABLE api_keys IS 'Who may ask, and for which tenant. The keys themselves are kept nowhere.';
COMMENT ON COLUMN api_keys.id IS 'UUID of version 7, to name the key without telling it. Immutable.';
COMMENT ON COLUMN api_keys.tenant_id IS 'Whose requests its holder makes and sees. Immutable.';
COMMENT ON COLUMN api_keys.key_sha256 IS 'Digest of the key. A key holds 256 random bits, so that no salt is needed. Immutable.';
COMMENT ON COLUMN api_keys.note IS 'What it is for, for people. Immutable.';
COMMENT ON COLUMN api_keys.created_at IS 'When it was made. Immutable.';
COMMENT ON COLUMN api_keys.revoked_at IS 'Since when it is refused; null while it is good. Written once.';

CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id);

-- Changed by every submit; only intake locks it, in the order of the tenants.
CREATE TABLE tenant_queues (
    tenant_id       uuid PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    accepted        bigint NOT NULL DEFAULT 0 CHECK (accepted >= 0),
    interactive_tag bigint NOT NULL DEFAULT 0 CHECK (interactive_tag >= 0),
    normal_tag      bigint NOT NULL DEFAULT 0 CHECK (normal_tag >= 0),
    batch_tag       bigint NOT NULL DEFAULT 0 CHECK (batch_tag >= 0)
) WITH (fillfactor = 50);

COMMENT ON TABLE tenant_queues IS 'What each tenant has submitted, one row each.';
COMMENT ON COLUMN tenant_queues.tenant_id IS 'The tenant. Immutable.';
COMMENT ON COLUMN tenant_queues.accepted IS 'Requests ever accepted; those that ended are in tenant_endings, and the difference is active. Grows.';
COMMENT ON COLUMN tenant_queues.interactive_tag IS 'Finish tag of its last interactive request: where its next one starts. Grows.';
COMMENT ON COLUMN tenant_queues.normal_tag IS 'The same of normal requests.';
COMMENT ON COLUMN tenant_queues.batch_tag IS 'The same of batch requests.';

-- Changed with the end of every request. Several rows a tenant, so that two commits seldom wait for each other.
CREATE TABLE tenant_endings (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    slot      smallint NOT NULL CHECK (slot >= 0),
    ended     bigint NOT NULL CHECK (ended >= 0),
    PRIMARY KEY (tenant_id, slot)
) WITH (fillfactor = 50);

COMMENT ON TABLE tenant_endings IS 'How many requests of each tenant ended: the sum over its slots.';
COMMENT ON COLUMN tenant_endings.tenant_id IS 'The tenant. Immutable.';
COMMENT ON COLUMN tenant_endings.slot IS 'Part of the sum; each database session adds to one of sixteen. Immutable.';
COMMENT ON COLUMN tenant_endings.ended IS 'Requests. Grows.';

CREATE TABLE fair_clock (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    tag      bigint NOT NULL DEFAULT 0 CHECK (tag >= 0)
) WITH (fillfactor = 50);

COMMENT ON TABLE fair_clock IS 'Virtual time, from which tenants that were idle start.';
COMMENT ON COLUMN fair_clock.only_one IS 'There is one row.';
COMMENT ON COLUMN fair_clock.tag IS 'The largest that the smallest tag of a ready job was when jobs were dispatched. Grows.';

INSERT INTO fair_clock DEFAULT VALUES;

-- Whose a request is. Without a default: an insert that names no tenant is refused.
ALTER TABLE requests
    ADD COLUMN tenant_id uuid NOT NULL DEFAULT '00000000-0000-7000-8000-000000000001',
    ADD COLUMN fair_tag bigint NOT NULL DEFAULT 0 CHECK (fair_tag >= 0);
ALTER TABLE requests
    ALTER COLUMN tenant_id DROP DEFAULT,
    ADD CONSTRAINT requests_have_a_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id),
    DROP CONSTRAINT requests_idempotency_key_key;

COMMENT ON COLUMN requests.tenant_id IS 'Whose it is. Immutable.';
COMMENT ON COLUMN requests.fair_tag IS 'Start tag: whose turn it is; the remainder by 4 is the priority. Immutable.';
COMMENT ON COLUMN requests.idempotency_key IS 'The caller''s own name for this submit; a second submit of the same tenant with it makes no second request. Immutable.';

CREATE UNIQUE INDEX requests_idempotent ON requests (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- Pages of one tenant, newest first: of one state, or merged from all.
CREATE INDEX requests_of_tenant ON requests (tenant_id, state, id DESC);

INSERT INTO tenant_queues (tenant_id, accepted)
    SELECT '00000000-0000-7000-8000-000000000001', count(*) FROM requests;
INSERT INTO tenant_endings (tenant_id, slot, ended)
    SELECT '00000000-0000-7000-8000-000000000001', 0, count(*) FROM requests WHERE state <> 'active';

ALTER TABLE jobs
    ADD COLUMN priority text NOT NULL DEFAULT 'normal' CHECK (priority IN ('interactive', 'normal', 'batch')),
    ADD COLUMN fair_tag bigint NOT NULL DEFAULT 0 CHECK (fair_tag >= 0);
UPDATE jobs SET priority = r.priority
    FROM requests r
    WHERE r.id = jobs.request_id AND jobs.state IN ('waiting', 'ready', 'dispatched') AND r.priority <> 'normal';
ALTER TABLE jobs
    ALTER COLUMN priority DROP DEFAULT,
    DROP COLUMN queue_rank;

COMMENT ON COLUMN jobs.priority IS 'Priority of its request (of jobs that ended before there were tenants: normal). Immutable.';
COMMENT ON COLUMN jobs.fair_tag IS 'Start tag of its request: the smallest goes first. Immutable.';

-- What dispatch takes next, by kind.
CREATE INDEX jobs_ready ON jobs (kind, fair_tag, id) WHERE state = 'ready';
