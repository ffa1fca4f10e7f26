//! The shape in the warehouse: day tables, year tables, union views; and how rows get there without a reader noticing.
//!
//! A day has its own table while it may still change; once closed it lives in its year's table. The *fold line* of
//! a (tenant, template) pair parts the two. Plain tables, indexes and union views, nothing else.

mod context;
pub mod load;
mod moves;
mod pair_tables;
mod place;
mod read;
mod reset;
mod tables;
mod views;

pub use context::{WarehouseContext, open_session};
pub use load::copy_in::{Claim, add_to_load, begin_load, copy_into, finish_load};
pub use load::duplicates::set_duplicates_aside;
pub use load::held_keys::HeldKeys;
pub use load::rebuild::{drop_retired, drop_stale_days};
pub use load::refused::set_refused_aside;
pub use load::shared_keys::{FreshTables, days_with_shared_keys};
pub use load::staging::{YearBuild, build_year};
pub use moves::fold::{Folding, analyze_grown, fold_days, hide, reveal};
pub use moves::moving::{Moved, Moving};
pub use moves::sweep::sweep;
pub use moves::unfold::unfold_days;
pub use pair_tables::{PairTables, pair_tables};
pub use place::Place;
pub use read::read_back::{Extra, begin_reading, extra_rows, read_back_sql};
pub use reset::{Holdings, holdings, reset};
pub use tables::barrier::{Barrier, barrier};
pub use tables::definitions::{TableCopy, analyze, day_table, staging_table, year_table};
pub use tables::left::Left;
pub use tables::obstacles::obstacles;
pub use tables::orphans::{Orphan, drop_orphans, namesake, orphans};
pub use tables::prepare::prepare;
pub use tables::replication::of_all_tables;
pub use tables::shape::{DAYS_AHEAD, Destination, Shape};
pub use views::{Ahead, OddView, WrongView, odd_views, restore as restore_views, show};
