//! A snapshot: what the catalog knows, as one JSON document stored next to the Parquet files. Both together restore a lost
//! warehouse without contacting a tenant.
//!
//! It holds tenants with the *references* to their passwords, templates with every version there was, pairs, and the
//! ledger of what is loaded or landed. It holds no secret, no row, and no history of runs.

mod adopt;
mod document;
mod fingerprint;
pub mod restored;
mod take;

pub use adopt::{adopt, go_on_after, restore_tenant};
pub use document::{Snapshot, SnapshotUnit};
pub use fingerprint::Fingerprint;
pub use take::take;
