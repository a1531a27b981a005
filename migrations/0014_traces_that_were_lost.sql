-- What is said of traces since the store may lose one: whoever looks for it in vain has it written again, and it may come out otherwise.

COMMENT ON COLUMN requests.trace_sha256 IS 'The trace, once it is in the store. Written after the end, and again when the store has lost it.';
COMMENT ON COLUMN requests.trace_bytes IS 'Its length in bytes. Written with its digest.';
