-- Whether a window of several days gives each day the rows that it has alone: found out at a pair's first load.
ALTER TABLE {wh}.pair
    ADD COLUMN windows         text CHECK (windows IN ('proved', 'assumed', 'by day')),
                                                             -- by day: days are too large to find out, each has its own window
    ADD COLUMN windows_version text,                         -- of the template; any other version is checked anew
    ADD COLUMN windows_from    date,                         -- [windows_from, windows_to): the window that proved it
    ADD COLUMN windows_to      date,
    ADD COLUMN windows_at      timestamptz;
