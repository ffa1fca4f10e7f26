-- Restore: a warehouse that came back from files, and what it came from.

-- Null: the tenant was restored from files, which do not know its source.
ALTER TABLE {wh}.tenant ALTER COLUMN url DROP NOT NULL;

CREATE TABLE {wh}.restored (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run         bigint,                                      -- null: it never began to load
    sources     text[] NOT NULL,                             -- URLs, without secrets
    snapshot_id text,                                        -- null: restored without a snapshot
    snapshot_at timestamptz,
    from_day    date,                                        -- [from_day, to_day): the days asked for; null: all
    to_day      date,
    afresh      boolean NOT NULL,                            -- the catalog held no tenant before: all of it was restored
    restored_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
