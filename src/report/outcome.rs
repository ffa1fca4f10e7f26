//! How a run ended, in one word and one exit code.

use crate::engine::event::{Outcome, RunReport};
use crate::error::exit;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Every unit is in the ledger.
    Done,
    /// Some units failed or were not tried.
    Failed,
    /// No tenant could be reached.
    Unreachable,
    /// Another run held every pair.
    Locked,
    /// Ended by Ctrl-C or SIGTERM.
    Interrupted,
    /// Ended by `dayhaul cancel`.
    Cancelled,
}

impl RunOutcome {
    pub fn of(report: &RunReport) -> RunOutcome {
        let undone = report
            .units
            .iter()
            .any(|u| matches!(u.outcome, Outcome::Failed | Outcome::NotTried));
        if report.cancelled_by.is_some() {
            RunOutcome::Cancelled
        } else if report.interrupted {
            RunOutcome::Interrupted
        } else if report.pairs > 0 && report.locked_pairs == report.pairs {
            RunOutcome::Locked
        } else if report.tenants > 0 && report.unreachable_tenants == report.tenants {
            RunOutcome::Unreachable
        } else if undone || !report.failures.is_empty() {
            RunOutcome::Failed
        } else {
            RunOutcome::Done
        }
    }

    pub fn exit_code(self) -> u8 {
        match self {
            RunOutcome::Done => exit::OK,
            RunOutcome::Failed => exit::FAILED,
            RunOutcome::Unreachable => exit::UNREACHABLE,
            RunOutcome::Locked => exit::LOCKED,
            RunOutcome::Interrupted | RunOutcome::Cancelled => exit::INTERRUPTED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::tests::report;

    #[test]
    fn the_exit_code_says_how_the_run_ended() {
        let all_well = report(&[Outcome::Loaded, Outcome::Skipped]);
        assert_eq!(RunOutcome::of(&all_well).exit_code(), 0);
        assert_eq!(
            RunOutcome::of(&report(&[Outcome::Loaded, Outcome::Failed])).exit_code(),
            1
        );
        assert_eq!(RunOutcome::of(&report(&[Outcome::NotTried])).exit_code(), 1);

        let mut run = report(&[Outcome::NotTried]);
        run.unreachable_tenants = run.tenants;
        assert_eq!(RunOutcome::of(&run).exit_code(), 3);

        let mut run = report(&[Outcome::NotTried]);
        run.locked_pairs = run.pairs;
        assert_eq!(RunOutcome::of(&run).exit_code(), 4);
        run.pairs += 1;
        assert_eq!(RunOutcome::of(&run).exit_code(), 1);

        run.interrupted = true;
        assert_eq!(RunOutcome::of(&run), RunOutcome::Interrupted);
        assert_eq!(RunOutcome::of(&run).exit_code(), 130);
        run.cancelled_by = Some("alice on db1".to_owned());
        assert_eq!(RunOutcome::of(&run), RunOutcome::Cancelled);
        assert_eq!(RunOutcome::of(&run).exit_code(), 130);
    }

    #[test]
    fn a_run_without_work_is_done() {
        let mut run = report(&[]);
        (run.pairs, run.tenants) = (0, 0);
        assert_eq!(RunOutcome::of(&run).exit_code(), 0);
    }
}
