-- Whether a request may get what was made before instead of what is made for it.

ALTER TABLE requests ADD COLUMN use_cache boolean NOT NULL DEFAULT true;

COMMENT ON COLUMN requests.use_cache IS 'Whether drawings and drafts that were made before for the same tenant may be used, and what is made for it is kept for others. Immutable.';
