//! Restore: loads days from their Parquet files instead of their tenants, through the same queue, staging, ledger and reveal
//! as any other load. A restore never contacts a tenant.
//!
//! ```text
//! list the places ─▶ catalog from snapshot or footers ─▶ run: file ─▶ tuples ─▶ COPY IN ─▶ digest = footer's? ─▶ ledger
//! ```

pub mod adopt;
pub mod column_mapping;
pub mod day_file;
mod find;
mod pair_files;
mod plan;
mod remarks;
pub mod snapshots;

pub use find::{FoundFiles, check_readable, find, urls};
pub use pair_files::PairFiles;
pub use plan::{RestoreDays, Restoring};
pub use remarks::{FileRemark, Remarks};
