//! Output for people and programs: engine events become progress, reports become tables and JSON.

pub mod failure;
mod failure_json;
pub mod fold;
pub mod numbers;
pub mod odd_view_json;
pub mod outcome;
pub mod progress;
mod progress_counts;
pub mod rows_of_no_day;
pub mod run_json;
pub mod run_table;
pub mod selection;
pub mod table;
mod throughput;
pub mod upcoming;
pub mod verify;

pub use outcome::{RunOutcome, exit_code};
pub use progress::{Progress, Style, aside};
