-- How far a run is, for others: written with each heartbeat, so that of a run that died the last one stays.
ALTER TABLE {wh}.run ADD COLUMN progress jsonb;     -- {"planned", "done"}: units; null before they are known, and after its end
