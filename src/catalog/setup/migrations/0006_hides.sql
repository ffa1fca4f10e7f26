-- Whether year tables may hold rows from the fold line on. Only then does a tenant view need a condition on the year that
-- holds the line; without one the planner can use that year's index for max(time) and for the latest rows.
ALTER TABLE {wh}.pair ADD COLUMN hides boolean NOT NULL DEFAULT true;
ALTER TABLE {wh}.pair ALTER COLUMN hides SET DEFAULT false;
