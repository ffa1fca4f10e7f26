//! The session that holds a run's locks, and the run's heartbeat.

pub mod heartbeat;
pub mod held_pairs;
pub mod lock_holder;
