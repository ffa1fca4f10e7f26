-- How many values a unit's object holds only rounded (`land = "double"`); null: written by a version that did not count them.
ALTER TABLE {wh}.unit ADD COLUMN object_rounded bigint;
ALTER TABLE {wh}.staged ADD COLUMN object_rounded bigint;

-- What a restore brought back that is not exactly what the snapshot, or the source, had.
ALTER TABLE {wh}.restored
    ADD COLUMN newer_days   bigint NOT NULL DEFAULT 0,       -- their files were written after the snapshot
    ADD COLUMN rounded_days bigint NOT NULL DEFAULT 0;       -- their files hold rounded values
