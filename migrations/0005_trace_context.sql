-- The W3C trace context that a submitter brought, so that every process can log under the submitter's trace id.

ALTER TABLE requests
    ADD COLUMN traceparent text
    CONSTRAINT requests_traceparent_is_one CHECK (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$');

COMMENT ON COLUMN requests.traceparent IS 'W3C trace context of the submitter, without flags that version 00 does not know; null when it brought none: then the trace id is the request''s own UUID. Immutable.';
