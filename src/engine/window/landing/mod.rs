//! Landing: writes the days of a window into Parquet files, from the rows on their way to the warehouse, from the warehouse, or
//! from the source alone.
//!
//! ```text
//! rows pass ─▶ files complete, unpublished ─▶ warehouse commits, to the disk ─▶ files published ─▶ ledger names them
//! ```
//!
//! If a run ends between two of these steps, the ledger has a unit that is loaded and not landed; the next run that lands
//! reads it from the warehouse. A file is published while the pair's lease and the unit's line in the ledger are locked, and
//! only if that line still describes the file's rows: an older file never replaces a newer one.

mod day_files;
pub mod files_only;
pub mod from_warehouse;
mod landed;
pub mod publish;
mod to;

pub use day_files::{DayFiles, Lake};
pub use from_warehouse::FromWarehouse;
pub use landed::{Landed, UnitFile};
pub use to::{To, open};
