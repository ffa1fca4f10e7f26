//! What follows an error, as a table: by its side, what it says ([`Trouble`]), the length of the window, and how often it
//! was tried.
//!
//! `docs/errors.md` shows the same table; a test compares both.

use super::retry::TRIES;
use crate::error::{Error, Side, Trouble};

/// What follows an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Wait, open the sessions anew, try again.
    Retry,
    /// While other windows of the server are at work, come after them, and send it fewer at once; otherwise as `Retry`.
    WaitForPlace,
    /// Read fewer days at once from now on.
    Shorten,
    /// Halve the window until the day that causes it is found.
    Halve,
    /// The window fails; it counts toward `max_failures_per_tenant`.
    Fail,
    /// The window fails, and the rest of its tenant is not tried.
    GiveUpTenant,
    /// The window fails, and the rest of the run is not tried.
    EndRun,
}

impl Decision {
    /// As it is called in `docs/errors.md`.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Retry => "retry",
            Decision::WaitForPlace => "wait for a connection",
            Decision::Shorten => "shorten",
            Decision::Halve => "halve to the day",
            Decision::Fail => "fail",
            Decision::GiveUpTenant => "give the tenant up",
            Decision::EndRun => "end the run",
        }
    }
}

/// How many days a window has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Any,
    Many,
}

/// A line of the table.
#[derive(Debug)]
pub struct Rule {
    /// `None`: any.
    pub side: Option<Side>,
    /// Empty: any.
    pub troubles: &'static [Trouble],
    pub length: Length,
    /// From the first to the last of these tries.
    pub tries: (u32, u32),
    pub decision: Decision,
}

/// Whatever the number of tries.
const ALWAYS: (u32, u32) = (1, u32::MAX);
/// As long as a further try is allowed.
const BEFORE_LAST: (u32, u32) = (1, TRIES - 1);
/// For what another try seldom cures.
const TWICE: (u32, u32) = (1, 2);

const fn rule(
    side: Option<Side>,
    troubles: &'static [Trouble],
    length: Length,
    tries: (u32, u32),
    decision: Decision,
) -> Rule {
    Rule {
        side,
        troubles,
        length,
        tries,
        decision,
    }
}

const SOURCE: Option<Side> = Some(Side::Source);
const WAREHOUSE: Option<Side> = Some(Side::Warehouse);
const LANDING: Option<Side> = Some(Side::Landing);

/// The first line that fits counts.
#[rustfmt::skip]
pub const RULES: &[Rule] = {
    use Decision::{EndRun, Fail, GiveUpTenant, Halve, Retry, Shorten, WaitForPlace};
    use Length::{Any, Many};
    use Trouble::{
        Cancelled, Conflict, DiskFull, File, Limit, NoPlace, NoResources, NotLetIn, Passing, ReadOnly, Row, SessionLost,
        Unavailable, Unknown,
    };
    &[
        rule(SOURCE,    &[NoPlace],                                        Any,  BEFORE_LAST,   WaitForPlace),
        rule(None,      &[NoPlace, Unavailable],                           Any,  BEFORE_LAST,   Retry),
        rule(SOURCE,    &[SessionLost],                                    Many, (2, u32::MAX), Shorten),
        rule(None,      &[SessionLost],                                    Any,  BEFORE_LAST,   Retry),
        rule(SOURCE,    &[NotLetIn, NoPlace, Unavailable, SessionLost],    Any,  ALWAYS,        GiveUpTenant),
        rule(WAREHOUSE, &[ReadOnly],                                       Any,  BEFORE_LAST,   Retry),
        rule(WAREHOUSE, &[NotLetIn, NoPlace, Unavailable, SessionLost, ReadOnly, DiskFull], Any, ALWAYS, EndRun),
        rule(LANDING,   &[NotLetIn, Unavailable],                          Any,  ALWAYS,        EndRun),
        rule(SOURCE,    &[Conflict, Cancelled, NoResources, DiskFull, Limit], Many, ALWAYS,     Shorten),
        rule(None,      &[Cancelled],                                      Any,  TWICE,         Retry),
        rule(None,      &[Passing, Conflict, NoResources, DiskFull],       Any,  BEFORE_LAST,   Retry),
        rule(None,      &[Row],                                            Many, ALWAYS,        Halve),
        rule(SOURCE,    &[Unknown],                                        Many, ALWAYS,        Halve),
        rule(LANDING,   &[File],                                           Many, ALWAYS,        Halve),
        rule(None,      &[],                                               Any,  ALWAYS,        Fail),
    ]
};

/// What follows an error of a window of so many days, after it was tried so often.
pub fn decide(error: &Error, days: usize, tries: u32) -> Decision {
    let fits = |rule: &&Rule| {
        rule.side.is_none_or(|side| error.side() == Some(side))
            && (rule.troubles.is_empty() || rule.troubles.contains(&error.trouble()))
            && (rule.length == Length::Any || days > 1)
            && (rule.tries.0..=rule.tries.1).contains(&tries)
    };
    let rule = RULES.iter().find(fits);
    rule.map_or(Decision::Fail, |rule| rule.decision)
}

/// What the error of a window that will not be tried again means for others.
pub fn decide_finally(error: &Error) -> Decision {
    decide(error, 1, u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn decided(side: Side, trouble: Trouble, days: usize, tries: u32) -> Decision {
        let error = Error::new(Kind::Sql, "no").with_trouble(trouble).on(side);
        decide(&error, days, tries)
    }

    #[test]
    fn a_session_that_is_lost_twice_reads_less_as_long_as_it_can() {
        let lost = |days, tries| decided(Side::Source, Trouble::SessionLost, days, tries);
        assert_eq!(lost(9, 1), Decision::Retry);
        assert_eq!(lost(9, 2), Decision::Shorten);
        assert_eq!(lost(1, 2), Decision::Retry);
        assert_eq!(lost(1, TRIES), Decision::GiveUpTenant);
        let warehouse = decided(Side::Warehouse, Trouble::SessionLost, 9, 2);
        assert_eq!(warehouse, Decision::Retry);
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_not_for_ever() {
        for side in [Side::Source, Side::Warehouse, Side::Landing] {
            for trouble in ALL_TROUBLES {
                let first = decided(side, trouble, 1, 1);
                if matches!(first, Decision::Retry | Decision::WaitForPlace) {
                    assert!(trouble.may_pass(), "{trouble:?}");
                }
                let last = decided(side, trouble, 1, TRIES);
                assert!(
                    matches!(
                        last,
                        Decision::Fail | Decision::GiveUpTenant | Decision::EndRun
                    ),
                    "{side} {trouble:?}: {last:?}"
                );
            }
        }
    }

    #[test]
    fn reading_less_is_for_sources_alone() {
        for rule in RULES {
            assert!(rule.decision != Decision::Shorten || rule.side == SOURCE);
            assert!(rule.decision != Decision::Shorten || rule.length == Length::Many);
            assert!(rule.decision != Decision::Halve || rule.length == Length::Many);
        }
    }

    const ALL_TROUBLES: [Trouble; 16] = [
        Trouble::Passing,
        Trouble::Unavailable,
        Trouble::ReadOnly,
        Trouble::SessionLost,
        Trouble::NoPlace,
        Trouble::Conflict,
        Trouble::Cancelled,
        Trouble::NoResources,
        Trouble::DiskFull,
        Trouble::Limit,
        Trouble::NotLetIn,
        Trouble::Query,
        Trouble::Row,
        Trouble::File,
        Trouble::Unknown,
        Trouble::Refusal,
    ];
}
