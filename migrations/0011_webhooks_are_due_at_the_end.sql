-- A webhook becomes due with the end of its request, whichever coordinator saves that, so that who delivers looks at nothing that is still worked
-- on, and finds the oldest of each tenant without walking over those of others. The table of requests is locked first, as by those who write both.

CREATE FUNCTION atelier_webhook_due() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE webhooks SET next_at = clock_timestamp() WHERE request_id = NEW.id AND state = 'waiting';
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION atelier_webhook_due IS 'Makes the webhook of a request due, if it has one.';

CREATE TRIGGER requests_end_makes_their_webhook_due AFTER UPDATE OF state ON requests
    FOR EACH ROW WHEN (OLD.state = 'active' AND NEW.state <> 'active')
    EXECUTE FUNCTION atelier_webhook_due();

ALTER TABLE webhooks ALTER COLUMN next_at SET DEFAULT 'infinity';

-- Those that are there already; the others are due, or will be.
UPDATE webhooks w SET next_at = 'infinity'
FROM requests r WHERE r.id = w.request_id AND r.state = 'active' AND w.state = 'waiting';

DROP INDEX webhooks_waiting;
CREATE INDEX webhooks_waiting ON webhooks (tenant_id, next_at) WHERE state = 'waiting';

COMMENT ON COLUMN webhooks.next_at IS 'Not tried before: never while its request is active; while a coordinator is at it, when another may take it over. Mutable while waiting.';
