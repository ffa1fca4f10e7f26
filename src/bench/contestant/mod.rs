//! Who competes: one file per family.

pub mod convert;
pub mod dayhaul;
pub mod dblink;
pub mod fdw;
pub mod limit;
pub mod psql;
pub mod readers;
pub mod refresh;
mod statements;

use super::evidence::Evidence;
use super::ground::Work;
use super::lane::Lane;
use super::meter::Used;
use crate::error::Result;

/// One way to do what a scenario asks for.
///
/// [`script`](Contestant::script) and [`run`](Contestant::run) build their statements by the same functions: what the report
/// shows is what was run.
pub trait Contestant: Send + Sync {
    /// What `--contestant` takes.
    fn name(&self) -> &str;

    /// In one line, for tables.
    fn title(&self) -> String;

    /// What exactly is run and timed, for a sceptic: SQL or command lines, with comments. Holds no secret.
    ///
    /// # Errors
    /// The template's query cannot be bound for the tenant.
    fn script(&self, lane: &Lane) -> Result<String>;

    /// An extension that it needs in the warehouse.
    fn extension(&self) -> Option<&'static str> {
        None
    }

    /// Why it cannot take part here, beyond a missing extension; `None` when it can.
    fn left_out(&self, _lane: &Lane) -> Option<&'static str> {
        None
    }

    /// What must be there before, not timed.
    fn prepare<'a>(&'a self, _lane: &'a Lane) -> Work<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// The timed part.
    fn run<'a>(&'a self, lane: &'a Lane) -> Work<'a, Used>;

    /// The rows that it left, or the answer that it gave; read after the clock was stopped.
    fn output<'a>(&'a self, lane: &'a Lane) -> Work<'a, Evidence>;
}

/// Name and purpose of each, as `--list` shows them.
pub const CONTESTANTS: [(&str, &str); 15] = [
    (
        dblink::NAME,
        "dblink as operators run it: one session, a materialized view and its indexes per day, one transaction",
    ),
    (
        dblink::JOBS,
        "the same days dealt out to as many sessions as Dayhaul has jobs",
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
        convert::NAME,
        "dblink's day views turned into yearly tables",
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
        "a union of one materialized view per tenant and day, as readers ask it",
    ),
    (readers::YEARS, "Dayhaul's public view, as readers ask it"),
    (
        dayhaul::NAME,
        "Dayhaul as it is: year tables, and day tables for open days",
    ),
    (
        dayhaul::DAYS,
        "Dayhaul with day tables only: `open_days` above the period",
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
        "not a contestant: what PostgreSQL itself needs, with every core busy",
    ),
];
