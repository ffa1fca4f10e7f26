//! Pairs that another run holds: what a run does about them, and which failures are about them.

use crate::engine::report::event::Failure;
use crate::error::Kind;

/// What a run does about pairs that another run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldPairs {
    /// Waits for them.
    pub wait: bool,
    /// Leaves them to the other run: when all else is done, it is done.
    pub leave: bool,
    /// What the user can do about them.
    pub hint: &'static str,
}

impl HeldPairs {
    /// Reports them, of a command without options about locks.
    pub const REPORT: HeldPairs = HeldPairs {
        wait: false,
        leave: false,
        hint: "run the same command again when that run has ended",
    };

    /// Whether these failures are those of pairs that are left to other runs, and there are some.
    pub fn excuses(self, failures: &[Failure]) -> bool {
        self.leave && !failures.is_empty() && failures.iter().all(is_held)
    }
}

/// Whether another run's lock kept it from being tried.
pub fn is_held(failure: &Failure) -> bool {
    failure.not_tried && failure.error.kind() == Kind::Locked
}
