-- A day is settled once it was compared with its source at or after its end plus the template's lookback.
ALTER TABLE {wh}.run ADD COLUMN today date;         -- the UTC date on which it reads sources; null: it reads none
ALTER TABLE {wh}.unit ADD COLUMN checked_on date;   -- the UTC date of the latest comparison; null: never compared
UPDATE {wh}.run SET today = (started_at AT TIME ZONE 'UTC')::date;
UPDATE {wh}.unit SET checked_on = (checked_at AT TIME ZONE 'UTC')::date;
