//! How a fold ended, pair by pair.

use super::event::Failure;
use crate::error::Error;
use crate::unit::{Day, TemplateName, TenantName};
use crate::warehouse::Moved;
use std::time::Duration;

/// How the fold of a pair ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The fold line moved, and readers see the days in their new tables.
    Moved,
    /// Nothing had to move.
    Nothing,
    /// Not now, and why; nothing changed, and the next run tries again.
    NotYet(String),
    /// The failures name the cause.
    Failed,
    /// The pair was locked, or the run was interrupted: the failures name the cause.
    NotTried,
}

/// One pair's end.
#[derive(Debug, Clone)]
pub struct PairFold {
    pub tenant: TenantName,
    pub template: TemplateName,
    pub standing: Standing,
    /// Before; `None` for a pair that was never loaded, or not reached.
    pub from_line: Option<Day>,
    /// After; where it would be now if the fold had succeeded.
    pub to_line: Option<Day>,
    /// What moved, or was to move.
    pub years: Vec<Moved>,
    /// How many of the folded days are not settled: a `sync` still compares them.
    pub unsettled: u64,
    /// Hidden tables that readers still hold: the next run drops them.
    pub left: Vec<String>,
}

/// How a run of `fold` or `unfold` ended.
#[derive(Debug)]
pub struct FoldReport {
    /// The run's id in `_wh.run`; `None` for a dry run.
    pub run: Option<i64>,
    pub pairs: Vec<PairFold>,
    pub failures: Vec<Failure>,
    pub interrupted: bool,
    /// Who interrupted it by `dayhaul cancel`.
    pub cancelled_by: Option<String>,
    /// Pairs that another run held.
    pub locked_pairs: usize,
    /// Why the catalog does not have how the run ended.
    pub not_recorded: Option<Error>,
    pub elapsed: Duration,
}

impl PairFold {
    /// Days that moved.
    pub fn days(&self) -> u64 {
        self.moved().map(|year| year.days).sum()
    }

    /// Rows that moved.
    pub fn rows(&self) -> u64 {
        self.moved().map(|year| year.rows).sum()
    }

    fn moved(&self) -> impl Iterator<Item = &Moved> {
        let moved = self.standing == Standing::Moved;
        self.years.iter().filter(move |_| moved)
    }
}
