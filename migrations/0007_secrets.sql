-- Secrets that all coordinators share and nobody else knows: what they sign with them, each of them can verify.

CREATE TABLE secrets (
    name  text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,31}$'),
    value bytea NOT NULL CHECK (octet_length(value) = 32)
);

COMMENT ON TABLE secrets IS 'One row for each use of a secret, made when it is first needed. Deleting a row ends everything that was signed with it.';
COMMENT ON COLUMN secrets.name IS 'What it is for. Immutable.';
COMMENT ON COLUMN secrets.value IS '256 random bits. Immutable.';
