//! Tenant views over year and day tables, public views over tenant views: what they must show, whether they do, and how
//! they are replaced.

mod check;
mod definition;
mod replace;

pub use check::{OddView, WrongView, odd_views, reads};
pub use definition::{shown_tables, shows_nothing};
pub use replace::{replace_tenant_view, restore, show};
