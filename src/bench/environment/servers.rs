//! The servers of a bench, wherever they run.

use crate::bench::endpoint::{Endpoint, TenantDatabase};
use crate::bench::sandbox::{Launch, Sandbox};
use crate::cluster::Programs;
use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, SchemaName};
use futures::future::BoxFuture;
use std::path::PathBuf;

/// The future of a trait method.
pub type Work<'a, T> = BoxFuture<'a, Result<T>>;

/// Servers and tenants. Only the implementation knows where they are.
pub trait TestServers: Send + Sync {
    /// The given number of tenants, created on demand; at most [`Workload::tenants`](super::Workload::tenants).
    fn sources(&self, tenants: u16) -> Work<'_, Vec<TenantDatabase>>;
    /// Creates an empty database or schema in the warehouse. `number` is never used twice.
    fn create_scratch(&self, number: u32) -> Work<'_, Endpoint>;
    /// Removes what [`TestServers::create_scratch`] created, with everything in it.
    fn drop_scratch<'a>(&'a self, warehouse: &'a Endpoint) -> Work<'a, ()>;
    /// The schema that contestants write to, in what [`TestServers::create_scratch`] created.
    fn schema(&self) -> SchemaName;
    /// Sessions to read counters with, which are not part of any measurement.
    fn monitor(&self) -> Work<'_, Monitors>;
    fn postmasters(&self) -> Postmasters;
    /// Whether servers and tenants belong to this bench, which may then change rows and request checkpoints.
    fn is_private(&self) -> bool;
    /// Removes everything that interrupted work left behind, except what is removed when `self` is dropped.
    fn clean_up(&self) -> Work<'_, ()>;
    /// Adds rows to each of the first tenants.
    fn add_late_rows(&self, rows: LateRows, tenants: u16) -> Work<'_, ()>;
    /// Removes the added rows.
    fn remove_late_rows(&self, tenants: u16) -> Work<'_, ()>;
    /// How Dayhaul learns about the sandbox.
    fn launch(&self, sandbox: &Sandbox) -> Launch;
    /// A short description for people.
    fn describe(&self) -> String;
}

/// A session on each server.
pub struct Monitors {
    pub warehouse: Session,
    pub sources: Session,
}

/// Process ids of the servers; `None` where they run elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Postmasters {
    pub warehouse: Option<u32>,
    pub sources: Option<u32>,
}

/// Rows that are added to a tenant between two tries, and removed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateRows {
    pub day: Day,
    /// At most as many as the day has.
    pub rows: u64,
}

/// The psql that comes with the server programs, or else the one on the PATH.
pub fn psql_program(programs: Option<&Programs>) -> PathBuf {
    programs
        .map(|programs| programs.program("psql"))
        .filter(|psql| psql.is_file())
        .unwrap_or_else(|| PathBuf::from("psql"))
}
