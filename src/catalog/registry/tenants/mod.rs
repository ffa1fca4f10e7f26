//! Tenants, and which templates are loaded for them.

mod enabled;
mod foreign_schema;
mod selection;
mod shard;
mod tenant;
mod unknown_name;

pub use enabled::{Enabled, disable, enable, templates_of};
pub use foreign_schema::{ForeignSchema, foreign_schema};
pub use selection::{Selection, check_selection};
pub use shard::Shard;
pub use tenant::{Tenant, add, get, list, put, refuse_taken, set_enabled, tenant_of};
