//! The contestants that can be chosen by name.

use super::{convert, dayhaul, dblink, fdw, limit, psql, readers, refresh};

/// Name and description of each, as `--list` shows them.
pub const CONTESTANTS: [(&str, &str); 16] = [
    (
        dblink::NAME,
        "dblink as commonly used: one session, one transaction, a materialized view with indexes per day",
    ),
    (
        dblink::JOBS,
        "the same, with the days distributed over as many sessions as Dayhaul has jobs",
    ),
    (
        dblink::BEST,
        "dblink at its best: one query for the whole period into one table, then the indexes",
    ),
    (
        fdw::NAME,
        "postgres_fdw: INSERT … SELECT from a foreign table over a view at the source, then the indexes",
    ),
    (
        psql::NAME,
        "psql COPY | psql COPY, binary, one day at a time into one table, then the indexes",
    ),
    (
        psql::BULK,
        "the same with one COPY for the whole period, then the indexes and ANALYZE",
    ),
    (
        convert::NAME,
        "dblink's day views converted into year tables",
    ),
    (
        refresh::CONCURRENTLY,
        "REFRESH MATERIALIZED VIEW CONCURRENTLY of each day, over dblink",
    ),
    (
        refresh::REWRITE,
        "REFRESH MATERIALIZED VIEW, a full rewrite, over dblink",
    ),
    (
        readers::DAY_VIEWS,
        "queries on a union of one materialized view per tenant and day",
    ),
    (readers::PUBLIC_VIEW, "queries on Dayhaul's public view"),
    (
        dayhaul::NAME,
        "Dayhaul by default: year tables, and day tables for open days",
    ),
    (
        dayhaul::DAYS,
        "Dayhaul with day tables only: `open_days` exceeds the period",
    ),
    (
        dayhaul::LANDING,
        "Dayhaul with landing: the same, and each day as a Parquet file",
    ),
    (
        dayhaul::FOLD,
        "Dayhaul's fold of day tables into year tables",
    ),
    (
        limit::NAME,
        "for reference: what PostgreSQL itself needs with every core busy",
    ),
];
