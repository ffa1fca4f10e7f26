//! The shape in the warehouse: day tables, year tables, union views; and how rows get there without a reader noticing.
//!
//! A day is a table of its own while it may still change; once closed it lives in its year's table. The *fold line* of
//! a (tenant, template) pair parts the two. Plain tables, indexes and union views, nothing else.

mod load;
mod prepare;
mod read_back;
mod shape;
mod staging;
mod tables;
mod transaction;
mod views;

pub use load::{Claim, begin_load, copy_into, finish_load};
pub use prepare::prepare;
pub use read_back::{Extra, begin_reading, extra_rows, read_back_sql};
pub use shape::{DAYS_AHEAD, Destination, Shape};
pub use staging::{YearBuild, build_year};
pub use tables::{day_table, staging_table, year_table};
pub use transaction::open_session;
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
