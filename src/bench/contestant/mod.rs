//! The programs and statements that are compared, one file per family.

pub mod choices;
pub mod convert;
pub mod dayhaul;
pub mod dblink;
pub mod fdw;
pub mod limit;
pub mod per_tenant;
pub mod psql;
pub mod readers;
pub mod readers_at_once;
pub mod refresh;
mod statements;
pub mod upkeep;

use super::environment::Work;
use super::fingerprint::Fingerprint;
use super::meter::ContestantUsage;
use super::sandbox::Sandbox;
use crate::error::Result;

/// One way to do the work of a scenario.
///
/// [`script`](Contestant::script) and [`run`](Contestant::run) must build their statements with the same functions, so that
/// the report shows what was run.
pub trait Contestant: Send + Sync {
    /// The name that `--contestant` takes.
    fn name(&self) -> &str;

    /// One line for tables.
    fn title(&self) -> String;

    /// What is run and timed: SQL or command lines, with comments. Contains no secret.
    ///
    /// # Errors
    /// The template's query cannot be bound for the tenant.
    fn script(&self, sandbox: &Sandbox) -> Result<String>;

    /// The extension that it needs in the warehouse.
    fn extension(&self) -> Option<&'static str> {
        None
    }

    /// Why it cannot take part here, other than a missing extension; `None` when it can.
    fn left_out(&self, _lane: &Sandbox) -> Option<&'static str> {
        None
    }

    /// Work before the timed part.
    fn prepare<'a>(&'a self, _lane: &'a Sandbox) -> Work<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// The timed part.
    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage>;

    /// The rows that it loaded, or the answer that it gave. Read after the timed part.
    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint>;
}
