//! Where a unit's object lies under the root: Hive's layout, so that engines see `tenant` and `date` as columns.

use crate::error::{Error, Result};
use crate::unit::{Day, SchemaName, TemplateName};
use arrow_schema::Schema;
use std::fmt;

/// What every unit's object is called in its folder.
const NAME: &str = "data.parquet";

/// Columns that engines make of the folders' names.
const PARTITIONS: [&str; 2] = ["tenant", "date"];

/// Whether every column of a template can be seen in the files: engines (whose names know no upper case) put a folder's
/// value in the place of a column of that name, or fail.
///
/// # Errors
/// A column is called `tenant` or `date`.
pub fn check_columns(schema: &Schema) -> Result<()> {
    let hidden = |name: &str| PARTITIONS.iter().any(|p| name.eq_ignore_ascii_case(p));
    match schema.fields().iter().find(|f| hidden(f.name())) {
        None => Ok(()),
        Some(field) => Err(Error::refused(format!(
            "column `{0}` cannot land as Parquet: the folders `{1}=…` are a column of that name to every engine",
            field.name(),
            field.name().to_ascii_lowercase(),
        ))
        .with_hint("give it another name in the template")),
    }
}

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
