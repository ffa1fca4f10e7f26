//! The shape in the warehouse: day tables, year tables, union views; and how rows get there without a reader noticing.
//!
//! A day is a table of its own while it may still change; once closed it lives in its year's table. The *fold line* of
//! a (tenant, template) pair parts the two. Plain tables, indexes and union views, nothing else.

mod barrier;
pub mod difference;
mod duplicates;
mod fold;
mod indexes;
mod load;
mod moving;
mod prepare;
mod read_back;
mod rebuild;
mod reset;
mod shape;
mod staging;
mod sweep;
mod tables;
mod transaction;
mod unfold;
mod views;

pub use barrier::{Barrier, barrier};
pub use duplicates::{days_with_shared_keys, set_duplicates_aside};
pub use fold::{Folding, analyze_grown, fold_days, hide, reveal};
pub use load::{Claim, begin_load, copy_into, finish_load};
pub use moving::{Moved, Moving};
pub use prepare::{Preparing, prepare};
pub use read_back::{Extra, begin_reading, extra_rows, read_back_sql};
pub use rebuild::{drop_retired, drop_stale_days};
pub use reset::{Holdings, holdings, reset};
pub use shape::{DAYS_AHEAD, Destination, Shape};
pub use staging::{YearBuild, build_year};
pub use sweep::{Left, sweep};
pub use tables::{TableCopy, analyze, day_table, staging_table, year_table};
use tables::{count_by_day_sql, in_window, utc_day};
pub use transaction::open_session;
pub use unfold::unfold_days;
pub use views::show;

use crate::template::Template;
use crate::unit::{SchemaName, TenantName};

/// The pair that a warehouse operation is about.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub tenant: &'a TenantName,
    pub schema: &'a SchemaName,
    pub template: &'a Template,
}
