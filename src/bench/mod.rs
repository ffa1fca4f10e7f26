//! Contests: Dayhaul and what it replaces, on the same data, servers, settings and indexes.
//!
//! ```text
//! Ground (servers, tenants, proxy) ─▶ Lane (one try's own database or schema)
//!                                        │
//! Scenario ─▶ Entrant (a Contestant and its share) ─▶ prepare · change the source · [meter] run [meter] · check the rows
//!                                        │
//!                                     Try ─▶ Report ─▶ table, bench.json, bench.md, bench.html
//! ```
//!
//! A figure counts only when the rows that a contestant left equal, by count and digest, those at the sources; they are read
//! back by binary COPY through the same digest that loading uses. Contestants take turns, and each repetition begins with
//! another one, so that a slow minute of the machine hits all alike.
//!
//! Dayhaul runs as a process of its own, by its command line: what it costs includes starting it. What dblink and
//! postgres_fdw cost is in the servers' CPU time.

pub mod contest;
pub mod contestant;
pub mod evidence;
pub mod ground;
pub mod lane;
pub mod machine;
pub mod meter;
pub mod proxy;
pub mod result;
pub mod scenario;
pub mod show;

pub use contest::{Observer, hold};
pub use ground::Ground;
pub use result::Report;
