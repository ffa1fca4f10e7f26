//! After a try: again, in pieces, or not any more.

use crate::engine::report::window_outcome::{Fault, Side};
use crate::error::Kind;
use crate::pg;
use crate::unit::Window;

/// What to do after a try.
pub enum After {
    Done,
    /// Nothing of it was done, and nobody is to blame: the run is being interrupted.
    Interrupted,
    Retry(Fault),
    Failed(Fault),
    /// Fetch it again in these pieces.
    Pieces(Vec<Window>),
    /// Fetch it again, shorter.
    Shorter,
}

/// Retry, split or give up: SQLSTATE and kind decide.
pub fn what_now(window: Window, fault: Fault) -> After {
    let error = &fault.error;
    if fault.side == Side::Source && window.len() > 1 {
        // Shorter queries pass where longer ones were cancelled.
        if pg::sqlstate::is_recovery_conflict(error) || error.sqlstate() == Some("57014") {
            return After::Shorter;
        }
    }
    if error.is_transient() {
        return After::Retry(fault);
    }
    if let Some(bad) = error.day()
        && window.len() > 1
        && window.contains(bad)
    {
        return After::Pieces(window.around(bad));
    }
    // Rows that are not the window's, a value that one side cannot take, a file that cannot be made: find the day, and
    // load the others.
    let about_rows = error.kind() == Kind::Data
        || (fault.side == Side::Landing && error.kind() == Kind::Io)
        || error
            .sqlstate()
            .is_some_and(|code| code.starts_with("22") || code.starts_with("23"));
    match window.halves() {
        Some((first, second)) if about_rows => After::Pieces(vec![first, second]),
        _ => After::Failed(fault),
    }
}
