//! A quick look at a tenant: is it reachable and readable, which columns does a query return, which days have rows? It only
//! reads, leaves nothing behind, and works behind a pooler.

pub mod check;
pub mod day_range;
pub mod session;
