//! Tenant views over year and day tables, public views over tenant views: what they must show, whether they do, and how
//! they are replaced.

mod check;
mod definition;
mod replace;

pub use check::{OddView, WrongView, is_tenant_view, odd_views, reads, tenant_views};
pub use definition::{Definition, shown_tables, shows_nothing};
pub use replace::{Ahead, replace_tenant_view, restore, show};
