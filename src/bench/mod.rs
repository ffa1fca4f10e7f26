//! Benchmarks of Dayhaul and of what it replaces, on the same data, servers, settings and indexes.
//!
//! ```text
//! Environment (servers, tenants, proxy) ─▶ Sandbox (an empty database or schema for one try)
//!                                             │
//! Scenario ─▶ Entrant (a Contestant, its share) ─▶ prepare ─▶ add late rows ─▶ [meter] run [meter] ─▶ check the rows
//!                                             │
//!                                          Measurement ─▶ BenchReport ─▶ table, bench.json, bench.md, bench.html
//! ```
//!
//! A figure counts only when the rows that a contestant left match those at the sources, by count and digest. They are read
//! back by binary COPY through the same digest that loading uses. Contestants take turns, and each repetition begins with
//! another one, so that a slow minute of the machine affects all of them.
//!
//! Dayhaul runs as a separate process from its command line, so its cost includes starting it. The cost of dblink and
//! postgres_fdw is in the servers' CPU time.

pub mod contestant;
pub mod endpoint;
pub mod environment;
pub mod fingerprint;
pub mod latency_proxy;
pub mod machine;
pub mod meter;
pub mod result;
pub mod runner;
pub mod sandbox;
pub mod scenario;
pub mod show;

pub use environment::Environment;
pub use result::BenchReport;
pub use runner::{BenchObserver, run_scenario};
