//! The engine: plan, windows, scheduling, retry, circuit, one unit's pipeline. Emits events, prints nothing.

pub mod event;
