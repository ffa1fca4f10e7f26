-- The catalog: what is hauled (tenant, template, pair), what was done (run, unit, staged), what is ours (relation, lease).

CREATE TABLE {wh}.tenant (
    name         text PRIMARY KEY,
    schema_name  text NOT NULL UNIQUE,
    url          text NOT NULL,                              -- without a password
    password_ref text,                                       -- env:NAME, file:PATH, cmd:COMMAND, pgpass; never a value
    vars         jsonb NOT NULL DEFAULT '{}',                -- {"client": "7"}: text values of {var:NAME}
    enabled      boolean NOT NULL DEFAULT true,
    added_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE {wh}.template (
    name      text PRIMARY KEY,
    version   text NOT NULL,                                 -- hash of query, columns, types and time column
    source    text NOT NULL,                                 -- the template file as it was loaded
    loaded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE {wh}.template_version (
    template  text NOT NULL,
    version   text NOT NULL,
    source    text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (template, version)
);

CREATE TABLE {wh}.pair (
    tenant    text NOT NULL REFERENCES {wh}.tenant ON UPDATE CASCADE,
    template  text NOT NULL REFERENCES {wh}.template,
    enabled   boolean NOT NULL DEFAULT true,
    first_day date,                                          -- the earliest day ever asked for
    fold_line date,                                          -- days before it live in year tables
    PRIMARY KEY (tenant, template)
);

CREATE TABLE {wh}.run (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command      text NOT NULL,
    arguments    text[] NOT NULL,
    host         text NOT NULL,
    pid          integer NOT NULL,
    version      text NOT NULL,                              -- of dayhaul
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at     timestamptz,
    outcome      text,                                       -- null while it runs
    totals       jsonb
);

-- Which run may publish into a pair. Publishing transactions read it FOR SHARE; taking over updates it.
CREATE TABLE {wh}.lease (
    tenant   text NOT NULL,
    template text NOT NULL,
    run      bigint NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, template)
);

-- The ledger. A unit that is not here was never tried.
CREATE TABLE {wh}.unit (
    tenant     text NOT NULL,
    template   text NOT NULL,
    day        date NOT NULL,
    state      text NOT NULL CHECK (state IN ('loaded', 'failed')),
    rows       bigint NOT NULL DEFAULT 0,
    digest     text,                                         -- 32 hex digits: sum of XXH3-128 over the binary tuples
    bytes      bigint NOT NULL DEFAULT 0,                    -- of binary tuples
    version    text NOT NULL,                                -- of the template
    relation   text,                                         -- schema.table that holds the rows
    object     text,                                         -- Parquet object
    loaded_at  timestamptz,
    checked_at timestamptz,
    run        bigint NOT NULL,
    tries      integer NOT NULL DEFAULT 1,
    error      text,                                         -- of the last try, when it failed
    PRIMARY KEY (tenant, template, day)
);

-- The ledger of days that are in a staging table, which no view shows yet.
CREATE TABLE {wh}.staged (
    tenant   text NOT NULL,
    template text NOT NULL,
    day      date NOT NULL,
    relation text NOT NULL,
    rows     bigint NOT NULL DEFAULT 0,
    digest   text,
    bytes    bigint NOT NULL DEFAULT 0,
    version  text NOT NULL,
    run      bigint NOT NULL,
    PRIMARY KEY (tenant, template, day)
);

-- Every table and view that is ours: no other is ever dropped, renamed or replaced.
CREATE TABLE {wh}.relation (
    schema_name text NOT NULL,
    name        text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('day', 'year', 'staging', 'tenant view', 'public view')),
    template    text NOT NULL,
    tenant      text,                                        -- null for the public view
    from_day    date,                                        -- [from_day, to_day): what its CHECK admits
    to_day      date,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (schema_name, name)
);
