//! Where a unit's object lies under the root: Hive's layout, so that engines see `tenant` and `date` as columns.

use crate::unit::{Day, SchemaName, TemplateName};
use std::fmt;

/// What every unit's object is called in its folder.
const NAME: &str = "data.parquet";

/// The object of one unit, by the three parts its path is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectPath {
    pub template: TemplateName,
    pub schema: SchemaName,
    pub day: Day,
}

impl ObjectPath {
    /// Reads a path relative to the root; `None` when it is no unit's.
    pub fn parse(path: &str) -> Option<ObjectPath> {
        let mut parts = path.split('/');
        let template = TemplateName::parse(parts.next()?).ok()?;
        let schema = SchemaName::parse(parts.next()?.strip_prefix("tenant=")?).ok()?;
        let day = parts.next()?.strip_prefix("date=")?.parse().ok()?;
        (parts.next() == Some(NAME) && parts.next().is_none()).then_some(ObjectPath {
            template,
            schema,
            day,
        })
    }

    /// The folder that holds this unit's object and nothing else, relative to the root.
    pub(super) fn folder(&self) -> String {
        format!("{}/tenant={}/date={}", self.template, self.schema, self.day)
    }

    /// How the names of its copies begin that are still being written: hidden from engines, which skip `.` and `_`.
    pub(super) fn aside_prefix() -> String {
        format!(".{NAME}.")
    }
}

impl fmt::Display for ObjectPath {
    /// `foodlogstats/tenant=acme/date=2024-02-29/data.parquet`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{NAME}", self.folder())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_unit_both_ways() {
        let path = "foodlogstats/tenant=acme_prod/date=2024-02-29/data.parquet";
        let object = ObjectPath::parse(path).unwrap();
        assert_eq!(object.schema.as_str(), "acme_prod");
        assert_eq!(object.to_string(), path);
    }

    #[test]
    fn what_is_no_units_path_is_not_taken_for_one() {
        for path in [
            "foodlogstats/tenant=acme/date=2024-02-30/data.parquet",
            "foodlogstats/tenant=acme/date=2024-02-28/part-0.parquet",
            "foodlogstats/tenant=acme/date=2024-02-28/data.parquet/x",
            "foodlogstats/acme/date=2024-02-28/data.parquet",
            "Food/tenant=acme/date=2024-02-28/data.parquet",
            "data.parquet",
            "",
        ] {
            assert_eq!(ObjectPath::parse(path), None, "{path}");
        }
    }
}
