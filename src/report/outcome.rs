//! How a run ended, in one word and one exit code.

use crate::engine::locks::held_pairs::HeldPairs;
use crate::engine::report::event::Outcome;
use crate::engine::report::run::RunReport;
use crate::error::{Error, Kind, exit};
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Every unit is in the ledger.
    Done,
    /// Some units failed or were not tried.
    Failed,
    /// All tenants, or the warehouse at the end, were unreachable.
    Unreachable,
    /// All pairs were locked by other runs.
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
        } else if let Some(error) = &report.not_recorded {
            RunOutcome::not_recorded(error)
        } else if undone || !report.failures.is_empty() {
            RunOutcome::Failed
        } else {
            RunOutcome::Done
        }
    }

    /// The outcome of a run whose end is not in the catalog.
    pub(super) fn not_recorded(error: &Error) -> RunOutcome {
        match error.kind() {
            Kind::Connect => RunOutcome::Unreachable,
            _ => RunOutcome::Failed,
        }
    }

    /// What is told beside this exit code: all is done if it is 0, as what is left is the work of other runs.
    pub(super) fn beside(self, exit_code: u8) -> RunOutcome {
        match exit_code {
            exit::OK => RunOutcome::Done,
            _ => self,
        }
    }

    /// The exit code; 0 when `others_do_it`: the rest is the work of other runs.
    pub(super) fn exit_code_unless(self, others_do_it: bool) -> u8 {
        match self {
            RunOutcome::Locked | RunOutcome::Failed if others_do_it => exit::OK,
            _ => self.exit_code(),
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

/// The exit code of a run. Pairs that are left to other runs are not failures.
pub fn exit_code(report: &RunReport, held: HeldPairs) -> u8 {
    let excused = report.not_recorded.is_none() && held.excuses(&report.failures);
    RunOutcome::of(report).exit_code_unless(excused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::report::event::Failure;
    use crate::report::run_table::tests::report;
    use crate::unit::TenantName;

    fn locked() -> Failure {
        Failure {
            tenant: TenantName::parse("acme").unwrap(),
            template: None,
            windows: Vec::new(),
            error: Error::new(Kind::Locked, "held by run 7"),
            not_tried: true,
        }
    }

    /// The exit codes when held pairs are reported, and when they are left to others.
    fn codes(run: &RunReport) -> (u8, u8) {
        let leave = HeldPairs {
            leave: true,
            ..HeldPairs::REPORT
        };
        (exit_code(run, HeldPairs::REPORT), exit_code(run, leave))
    }

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

        // Locked pairs are left to the other runs on request; other failures remain failures.
        run.failures.push(locked());
        assert_eq!(codes(&run), (1, 0));
        run.locked_pairs = run.pairs;
        assert_eq!(codes(&run), (4, 0));
        let mut other = locked();
        other.error = Error::new(Kind::Data, "a row");
        run.failures.push(other);
        assert_eq!(codes(&run), (4, 4));
        run.failures.pop();
        // What was done besides them may not be in the ledger.
        run.not_recorded = Some(Error::new(Kind::Sql, "no end today"));
        assert_eq!(codes(&run), (4, 4));
        run.not_recorded = None;

        run.interrupted = true;
        assert_eq!(codes(&run), (130, 130));
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
