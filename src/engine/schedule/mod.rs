//! Which window comes next, how long it is, who does it, and what follows a try.

pub mod decision;
pub mod next_step;
pub mod pair_work;
pub mod pool;
pub mod queue;
pub mod retry;
pub mod sessions;
pub mod task;
pub mod visit;
pub mod watchdog;
pub mod window_size;
