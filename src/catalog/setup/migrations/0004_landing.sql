-- Landing: a unit's Parquet object, and which rows it holds.

ALTER TABLE {wh}.unit
    DROP CONSTRAINT unit_state_check,
    ADD CONSTRAINT unit_state_check
        CHECK (state IN ('loaded', 'landed', 'failed')),     -- landed: in its object alone, no table holds it
    ADD COLUMN object_digest text,                           -- of the rows in the object; landed is what has digest = object_digest
    ADD COLUMN object_bytes  bigint;                         -- of the object

ALTER TABLE {wh}.staged
    ADD COLUMN object        text,
    ADD COLUMN object_digest text,
    ADD COLUMN object_bytes  bigint;
