//! What the engine reports: events while it works, and how windows, folds and runs ended. The engine prints nothing.

pub mod done_units;
pub mod event;
pub mod fold;
pub mod notes;
pub mod progress;
pub mod run;
pub mod run_progress;
