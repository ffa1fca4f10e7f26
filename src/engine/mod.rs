//! The engine: plan, windows, scheduling, retry, circuit, one unit's pipeline. Emits events, prints nothing.

pub mod fold;
pub mod locks;
pub mod report;
pub mod restore;
pub mod run;
pub mod schedule;
pub mod verify;
pub mod window;
