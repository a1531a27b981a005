-- Requests whose time may run out while a further round waits in the queue. State changes write every index anyway, and nothing else that this
-- one rests on ever changes.

CREATE INDEX requests_with_limited_time ON requests (created_at) WHERE state = 'active' AND max_time_ms IS NOT NULL;

COMMENT ON COLUMN requests.max_time_ms IS 'Milliseconds since created_at after which nothing more is begun once a picture was looked at; null is as long as it takes. Immutable.';
COMMENT ON COLUMN requests.max_cost_ms IS 'Milliseconds on devices after which nothing more is begun once a picture was looked at; null is as long as it takes. Immutable.';
