//! What people and programs see of a run: engine events become progress, its report becomes tables and JSON.

pub mod failure;
pub mod fold;
pub mod json;
pub mod numbers;
pub mod outcome;
pub mod progress;
mod rate;
mod standing;
pub mod summary;
pub mod table;
pub mod verify;

pub use outcome::{RunOutcome, exit_code};
pub use progress::{Progress, Style, aside};
