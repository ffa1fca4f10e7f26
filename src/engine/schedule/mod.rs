//! Which window comes next, how long it is, and what happens after a try.

pub mod next_step;
pub mod queue;
pub mod retry;
pub mod sessions;
pub mod task;
pub mod watchdog;
pub mod window_size;
