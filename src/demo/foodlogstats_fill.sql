-- Fills the tables of foodlogstats_source.sql with data like that of a chain of kitchens. The same arguments give the same data.
-- Dayhaul's demo runs it; so does
--   psql -v seed=1 -v first_day=2024-01-01 -v days=366 -v rows=4180 -f foodlogstats_fill.sql
-- A row depends only on its day, its number within the day and the seed, so more days or an earlier start do not change
-- existing days. Kitchens five hours behind UTC serve from noon to eleven at night, so a service crosses midnight UTC.

BEGIN;

-- Checking five foreign keys for each of a million rows takes longer than inserting them. The generated rows are valid.
SET LOCAL session_replication_role = replica;

INSERT INTO phood_region
SELECT n, name
FROM unnest(ARRAY['North', 'South', 'East', 'West', 'Coast', 'Campus']) WITH ORDINALITY AS r (name, n);

INSERT INTO phood_location
SELECT n, 'Kitchen ' || n, :seed, CASE WHEN n % 16 <> 0 THEN 1 + n % 6 END
FROM generate_series(1, 24) AS n;

INSERT INTO phood_actiontaken
SELECT n, name
FROM unnest(ARRAY['Composted', 'Donated', 'Discarded', 'Repurposed', 'Returned', 'Staff meal']) WITH ORDINALITY AS a (name, n);

INSERT INTO phood_actionreason
SELECT n, name
FROM unnest(ARRAY['Overproduction', 'Expired', 'Spoiled', 'Overcooked', 'Dropped', 'Trim', 'Guest return', 'Quality'])
    WITH ORDINALITY AS r (name, n);

INSERT INTO phood_foodcategory
SELECT n, name, 2.5 + n * 0.75
FROM unnest(ARRAY['Poultry', 'Beef', 'Pork', 'Seafood', 'Vegetables', 'Fruit', 'Salad', 'Soup', 'Bread', 'Pasta', 'Rice',
    'Dairy', 'Dessert', 'Crème & sauce']) WITH ORDINALITY AS c (name, n);

-- 400 items: every way of cooking with every dish.
INSERT INTO phood_inventoryitem
SELECT n, way || ' ' || dish, CASE WHEN n % 50 <> 0 THEN 1 + n % 14 END,
       (60 + n * 37 % 1400)::numeric / 100 + 0.0025, (110 + n * 53 % 2300)::numeric / 100
FROM (
    SELECT (w - 1) * 20 + d AS n, way, dish
    FROM unnest(ARRAY['Baked', 'Boiled', 'Braised', 'Breaded', 'Broiled', 'Buttered', 'Chilled', 'Creamed', 'Crispy', 'Fried',
            'Glazed', 'Grilled', 'House', 'Pickled', 'Poached', 'Pulled', 'Roasted', 'Smoked', 'Spiced', 'Steamed'])
            WITH ORDINALITY AS ways (way, w),
         unnest(ARRAY['beans', 'beef', 'beets', 'broccoli', 'carrots', 'cauliflower', 'chicken', 'cod', 'eggplant', 'ham',
            'lentils', 'mushrooms', 'noodles', 'peppers', 'pork', 'potatoes', 'rice', 'salmon', 'squash', 'tofu'])
            WITH ORDINALITY AS dishes (dish, d)
) AS items;

INSERT INTO phood_pan
SELECT n, 'Pan ' || n, (180 + n * 145)::numeric / 1000
FROM generate_series(1, 25) AS n;

-- Each item is on three menus, at one or two stations.
INSERT INTO phood_menuitem
SELECT (item - 1) * 3 + menu, (ARRAY['Breakfast', 'Lunch', 'Dinner'])[menu], item,
       (ARRAY['Grill', 'Salad bar', 'Deli', 'Soup', 'Dessert', 'Main line'])[1 + (item + CASE WHEN menu = 3 AND item % 3 = 0 THEN 1 ELSE 0 END) % 6]
FROM generate_series(1, 400) AS item, generate_series(1, 3) AS menu;

INSERT INTO phood_foodlogsum
SELECT id,
       1 + (bits & 1023) % 24,
       1 + (bits >> 10 & 65535) % 400,
       1 + (bits >> 26 & 255) % 6,
       CASE WHEN (more & 1023) >= 20 THEN 1 + (bits >> 34 & 255) % 8 END,       -- 2 % have no reason,
       CASE WHEN (more >> 10 & 1023) >= 20 THEN 1 + (bits >> 42 & 255) % 25 END, -- 2 % no pan
       4 + ((more >> 20 & 4095) * (more >> 32 & 4095))::numeric / 1000000 * 2,    -- most are small
       CASE WHEN (more >> 44 & 127) < 8 THEN 'pending' WHEN (more >> 44 & 127) < 10 THEN 'rejected' ELSE 'validated' END,
       CASE (more >> 51 & 31)
           WHEN 0 THEN '{late}'::text[]
           WHEN 1 THEN '{manual,"over target"}'
           WHEN 2 THEN '{over target}'
           ELSE '{}'
       END,
       CASE number
           WHEN 0 THEN midnight
           WHEN 1 THEN midnight + interval '23:59:59.999999'
           ELSE midnight + ((17 * 3600000000 + (bits >> 20 & 1099511627775) % 39600000000) % 86400000000) * interval '1 microsecond'
       END
FROM (
    SELECT id, number, midnight,
           hashint8extended(id, :seed) & 9223372036854775807 AS bits,
           hashint8extended(id, :seed + 1000003) & 9223372036854775807 AS more
    FROM (
        SELECT day::bigint * 10000000 + number AS id, number, timestamptz '2000-01-01 00:00:00+00' + day * interval '24 hours' AS midnight
        FROM generate_series(date :'first_day' - date '2000-01-01', date :'first_day' - date '2000-01-01' + :days - 1) AS day,
             -- Of thirteen days, one has 30 % fewer rows and one 30 % more.
             generate_series(0::bigint, :rows * CASE day % 13 WHEN 4 THEN 7 WHEN 9 THEN 13 ELSE 10 END / 10 - 1) AS number
    ) AS numbered
) AS hashed;

COMMIT;

ANALYZE;
