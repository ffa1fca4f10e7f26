/*
description = "Food waste: every weighed and logged item, with where, why and what it cost"
time_column = "logged_time"
unique = ["id"]
indexes = ["logged_time", "store", "action_taken_id"]
range_query = "SELECT min(logged_time), max(logged_time) FROM phood_foodlogsum"

[columns]
id = "bigint"
store = "text"
station = "text"
validation_status = "text"
region = "text"
action_taken_id = "bigint"
action_taken = "text"
name = "text"
quantity = "numeric(10,3)"
average_weight = "numeric(8,3)"
weight = "numeric(11,3)"
food_category = "text"
cost_per_lb = "numeric(10,4)"
target_weight = "double precision"
price_per_lb = "numeric(10,2)"
action_reason = "text"
client_id = "bigint"
logged_time = "timestamptz"
flags = "text[]"
*/
SELECT log.id,
       location.name AS store,
       menu.station,
       log.validation_status,
       region.name AS region,
       log.action_taken_id,
       action.name AS action_taken,
       item.name,
       log.quantity,
       coalesce(pan.average_weight, 0) AS average_weight,
       log.quantity - coalesce(pan.average_weight, 0) AS weight,
       category.name AS food_category,
       item.cost_per_lb,
       category.target_weight,
       item.price_per_lb,
       reason.name AS action_reason,
       location.client_id,
       log.logged_time,
       log.flags
FROM phood_foodlogsum AS log
JOIN phood_location AS location ON location.id = log.location_id
LEFT JOIN phood_region AS region ON region.id = location.region_id
JOIN phood_actiontaken AS action ON action.id = log.action_taken_id
LEFT JOIN phood_actionreason AS reason ON reason.id = log.action_reason_id
JOIN phood_inventoryitem AS item ON item.id = log.inventory_item_id
LEFT JOIN phood_foodcategory AS category ON category.id = item.food_category_id
LEFT JOIN phood_pan AS pan ON pan.id = log.pan_id
-- An item is on several menus, often at one station; joining the menu itself would duplicate log rows.
LEFT JOIN (
    SELECT inventory_item_id, string_agg(station, ', ' ORDER BY station COLLATE "C") AS station
    FROM (SELECT DISTINCT inventory_item_id, station FROM phood_menuitem) AS stations
    GROUP BY inventory_item_id
) AS menu ON menu.inventory_item_id = log.inventory_item_id
WHERE log.logged_time >= {from} AND log.logged_time < {to}
