-- Rebuild: a year is built anew beside the one that readers still see.

ALTER TABLE {wh}.staged
    ADD COLUMN staged_at timestamptz NOT NULL DEFAULT clock_timestamp();

-- A year table whose place another took, until no reader holds it any more.
ALTER TABLE {wh}.relation
    DROP CONSTRAINT relation_kind_check,
    ADD CONSTRAINT relation_kind_check
        CHECK (kind IN ('day', 'year', 'staging', 'retired', 'tenant view', 'public view'));
