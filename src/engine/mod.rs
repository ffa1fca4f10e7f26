//! The engine: plan, windows, scheduling, retry, circuit, one unit's pipeline. Emits events, prints nothing.

mod after;
pub mod ask;
mod blame;
mod compare;
pub mod event;
pub mod fold;
mod haul;
mod keeper;
pub mod land;
mod large_day;
mod pace;
mod pair;
mod pull;
mod pulse;
mod queue;
mod retry;
pub mod run;
mod sessions;
mod shared;
mod stall;
pub mod verify;
mod versions;
mod worker;
mod year;
