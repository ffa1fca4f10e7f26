-- History: what a run was asked for and why it failed, what each run did to each unit, and a way to end a run from anywhere.

ALTER TABLE {wh}.run
    ADD COLUMN selection           jsonb,                    -- [{"tenant", "template", "days": [[first, last], …]}], resolved once
    ADD COLUMN failures            jsonb,                    -- [{"tenant", "template", "days", "not_tried", "error", "hint"}], at its end
    ADD COLUMN cancel_requested_at timestamptz,
    ADD COLUMN cancel_requested_by text;                     -- "alice on db1"

-- One row for each unit that a run tried; nothing ever reads it to decide what to do. A unit that was found unchanged has
-- none, so a nightly refresh adds as many rows as it writes days. It may be thinned out at any time: what is loaded is
-- known from {wh}.unit alone.
CREATE TABLE {wh}.attempt (
    tenant   text NOT NULL,
    template text NOT NULL,
    day      date NOT NULL,
    run      bigint NOT NULL,
    outcome  text NOT NULL,                                  -- staged, loaded, reloaded (same rows), changed, failed
    rows     bigint,                                         -- these and the digest: null when it failed
    digest   text,
    version  text NOT NULL,                                  -- of the template
    tries    integer NOT NULL,
    error    text,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, template, day, run)
);
CREATE INDEX ON {wh}.attempt (run);

-- Of what was done before, the last run of each unit is known.
INSERT INTO {wh}.attempt (tenant, template, day, run, outcome, rows, digest, version, tries, error, at)
SELECT u.tenant, u.template, u.day, u.run, u.state, CASE u.state WHEN 'loaded' THEN u.rows END,
       u.digest, u.version, u.tries, u.error, coalesce(u.loaded_at, r.heartbeat_at, clock_timestamp())
FROM {wh}.unit u LEFT JOIN {wh}.run r ON r.id = u.run;

INSERT INTO {wh}.attempt (tenant, template, day, run, outcome, rows, digest, version, tries, at)
SELECT s.tenant, s.template, s.day, s.run, 'staged', s.rows, s.digest, s.version, 1,
       coalesce(r.heartbeat_at, clock_timestamp())
FROM {wh}.staged s LEFT JOIN {wh}.run r ON r.id = s.run
ON CONFLICT (tenant, template, day, run) DO NOTHING;
