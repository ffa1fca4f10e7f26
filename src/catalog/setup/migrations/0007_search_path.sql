-- Where a tenant's queries look names up, and its schema at the source.
ALTER TABLE {wh}.tenant
    ADD COLUMN source_schema    text,        -- what {schema} stands for in templates
    ADD COLUMN search_path      text[],      -- schemas, in order; null: not decided yet
    ADD COLUMN search_path_from text NOT NULL DEFAULT 'earlier'
        CHECK (search_path_from IN ('login', 'chosen', 'earlier', 'unknown'));
-- Tenants that were there have been read with `public`.
ALTER TABLE {wh}.tenant ALTER COLUMN search_path_from SET DEFAULT 'unknown';
