//! The path of a unit's object under the root: Hive's layout, so that query engines see `tenant` and `date` as columns.

use crate::error::{Error, Result};
use crate::unit::{Day, SchemaName, TemplateName};
use arrow_schema::Schema;
use std::fmt;

/// The file name of every unit's object.
const NAME: &str = "data.parquet";

/// Columns that query engines derive from folder names.
const PARTITIONS: [&str; 2] = ["tenant", "date"];

/// Checks that no column is hidden by a folder's value. Query engines, which ignore case, replace a column of the same name
/// or fail.
///
/// # Errors
/// A column is called `tenant` or `date`.
pub fn check_columns(schema: &Schema) -> Result<()> {
    let hidden = |name: &str| PARTITIONS.iter().any(|p| name.eq_ignore_ascii_case(p));
    match schema.fields().iter().find(|f| hidden(f.name())) {
        None => Ok(()),
        Some(field) => Err(Error::refused(format!(
            "column `{0}` cannot be landed as Parquet: query engines read the folders `{1}=…` as a column of that name",
            field.name(),
            field.name().to_ascii_lowercase(),
        ))
        .with_hint("rename the column in the template")),
    }
}

/// The path of one unit's object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectPath {
    pub template: TemplateName,
    pub schema: SchemaName,
    pub day: Day,
}

impl ObjectPath {
    /// Parses a path relative to the root; `None` when it is not that of a unit.
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

    /// The folder of this unit's object, relative to the root.
    pub(super) fn folder(&self) -> String {
        format!("{}/tenant={}/date={}", self.template, self.schema, self.day)
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
    fn a_path_and_its_unit_convert_both_ways() {
        let path = "foodlogstats/tenant=acme_prod/date=2024-02-29/data.parquet";
        let object = ObjectPath::parse(path).unwrap();
        assert_eq!(object.schema.as_str(), "acme_prod");
        assert_eq!(object.to_string(), path);
    }

    #[test]
    fn other_paths_are_not_units() {
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
