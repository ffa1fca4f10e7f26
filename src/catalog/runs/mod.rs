//! Runs: their life, the leases that fence them, and their history.

pub mod history;
pub mod lease;
pub mod run;
pub mod selected;
pub mod shards;
