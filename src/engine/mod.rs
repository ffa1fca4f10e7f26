//! The engine: plan, windows, scheduling, retry, circuit, one unit's pipeline. Emits events, prints nothing.

mod account;
mod after;
pub mod ask;
mod blame;
mod compare;
mod day_buffer;
pub mod event;
mod failed;
pub mod fold;
mod haul;
mod hauled;
mod keeper;
pub mod land;
mod pace;
mod pair;
mod pull;
mod pulse;
mod queue;
mod ready;
mod retry;
pub mod run;
mod shared;
mod stall;
pub mod verify;
mod versions;
mod worker;
mod year;
