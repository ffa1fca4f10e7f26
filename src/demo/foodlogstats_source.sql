-- A kitchen's food waste log as a web application stores it: the source of templates/foodlogstats.sql.

CREATE TABLE phood_region (
    id   bigint PRIMARY KEY,
    name varchar(100) NOT NULL
);

CREATE TABLE phood_location (
    id        bigint PRIMARY KEY,
    name      varchar(100) NOT NULL,
    client_id bigint NOT NULL,
    region_id bigint REFERENCES phood_region
);

CREATE TABLE phood_actiontaken (
    id   bigint PRIMARY KEY,
    name varchar(50) NOT NULL
);

CREATE TABLE phood_actionreason (
    id   bigint PRIMARY KEY,
    name varchar(100) NOT NULL
);

CREATE TABLE phood_foodcategory (
    id            bigint PRIMARY KEY,
    name          varchar(100) NOT NULL,
    target_weight double precision
);

CREATE TABLE phood_inventoryitem (
    id               bigint PRIMARY KEY,
    name             varchar(200) NOT NULL,
    food_category_id bigint REFERENCES phood_foodcategory,
    cost_per_lb      numeric(10,4),
    price_per_lb     numeric(10,2)
);

CREATE TABLE phood_pan (
    id             bigint PRIMARY KEY,
    name           varchar(50) NOT NULL,
    average_weight numeric(8,3) NOT NULL
);

-- One row per item and menu: the same item at the same station on many menus.
CREATE TABLE phood_menuitem (
    id                bigint PRIMARY KEY,
    menu              varchar(100) NOT NULL,
    inventory_item_id bigint NOT NULL REFERENCES phood_inventoryitem,
    station           varchar(50) NOT NULL
);

CREATE TABLE phood_foodlogsum (
    id                bigint PRIMARY KEY,
    location_id       bigint NOT NULL REFERENCES phood_location,
    inventory_item_id bigint NOT NULL REFERENCES phood_inventoryitem,
    action_taken_id   bigint NOT NULL REFERENCES phood_actiontaken,
    action_reason_id  bigint REFERENCES phood_actionreason,
    pan_id            bigint REFERENCES phood_pan,
    quantity          numeric(10,3) NOT NULL,
    validation_status varchar(20) NOT NULL,
    flags             text[] NOT NULL DEFAULT '{}',
    logged_time       timestamptz NOT NULL
);

CREATE INDEX phood_foodlogsum_logged_time ON phood_foodlogsum (logged_time);
