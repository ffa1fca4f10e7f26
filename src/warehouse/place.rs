//! The pair that a warehouse operation is about.

use crate::sql::qualified;
use crate::template::Template;
use crate::unit::{SchemaName, TenantName};

#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub tenant: &'a TenantName,
    pub schema: &'a SchemaName,
    pub template: &'a Template,
}

impl Place<'_> {
    /// A relation of the tenant's schema, as statements name it.
    pub fn qualified(&self, relation: &str) -> String {
        qualified(self.schema.as_str(), relation)
    }
}
