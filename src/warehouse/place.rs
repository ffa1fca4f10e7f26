//! The pair that a warehouse operation is about.

use crate::catalog::Pair;
use crate::sql::qualified;
use crate::template::Template;
use crate::unit::{PairNames, SchemaName, TenantName};

#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub tenant: &'a TenantName,
    pub schema: &'a SchemaName,
    pub template: &'a Template,
}

impl<'a> Place<'a> {
    pub fn of(pair: &'a Pair) -> Place<'a> {
        Place {
            tenant: &pair.tenant.name,
            schema: &pair.tenant.schema,
            template: &pair.template,
        }
    }

    pub fn names(&self) -> PairNames<'a> {
        (self.tenant, &self.template.name)
    }

    /// A relation of the tenant's schema, as statements name it.
    pub fn qualified(&self, relation: &str) -> String {
        qualified(self.schema.as_str(), relation)
    }
}
