//! The engine: plan, windows, scheduling, retry, circuit, one unit's pipeline. Emits events, prints nothing.

pub mod backfill;
pub mod event;
mod haul;
mod keeper;
mod pace;
mod pair;
mod pulse;
mod queue;
mod retry;
mod stall;
mod worker;
