//! Pairs the rows that only one side has by their key, and reports them.

use super::unmatched::Unmatched;
use crate::copy::fields;
use crate::engine::verify::row_diff::{ChangedValue, ColumnValue, DiffRow, RowChange, RowDiff};
use crate::error::Result;
use crate::pg::{Raw, Session, ToSql};
use crate::template::Template;
use std::collections::{BTreeMap, HashMap};

/// Rows whose values are shown, of each kind and day.
const ROWS_SHOWN: usize = 20;

/// Tuples that only one side has, paired by key.
pub struct Matched<'a> {
    keys: &'a [usize],
    added: Vec<&'a [u8]>,
    removed: Vec<&'a [u8]>,
    changed: Vec<ChangedTuple<'a>>,
}

/// A tuple of one key, in the warehouse and at the source.
struct ChangedTuple<'a> {
    old: &'a [u8],
    new: &'a [u8],
}

impl<'a> Matched<'a> {
    pub fn of(unmatched: &'a Unmatched, template: &Template, keys: &'a [usize]) -> Matched<'a> {
        debug_assert!(keys.iter().all(|key| *key < template.columns.len()));
        let mut matched = Matched {
            keys,
            added: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
        };
        let mut by_key: HashMap<Vec<Option<&[u8]>>, Vec<&[u8]>> = HashMap::new();
        for tuple in &unmatched.warehouse {
            if keys.is_empty() {
                matched.removed.push(tuple);
            } else {
                by_key.entry(key_of(tuple, keys)).or_default().push(tuple);
            }
        }
        for tuple in &unmatched.source {
            let old = by_key.get_mut(&key_of(tuple, keys)).and_then(Vec::pop);
            match old {
                Some(old) => matched.changed.push(ChangedTuple { old, new: tuple }),
                None => matched.added.push(tuple),
            }
        }
        matched.removed.extend(by_key.into_values().flatten());
        matched
    }

    pub fn rows(&self, template: &Template) -> RowDiff {
        let mut columns = BTreeMap::new();
        for ChangedTuple { old, new } in &self.changed {
            for column in changed_columns(old, new) {
                let name = template.columns[column].name.clone();
                *columns.entry(name).or_default() += 1;
            }
        }
        RowDiff {
            added: self.added.len() as u64,
            removed: self.removed.len() as u64,
            changed: self.changed.len() as u64,
            columns,
            by_key: !self.keys.is_empty(),
            shown: Vec::new(),
        }
    }

    /// The first rows of each kind. The warehouse formats the values, because it knows every type. Without a key no row
    /// can be named.
    pub async fn shown(&self, warehouse: &Session, template: &Template) -> Result<Vec<DiffRow>> {
        let mut shown = Vec::new();
        if self.keys.is_empty() {
            return Ok(shown);
        }
        for (change, tuples) in [
            (RowChange::Added, &self.added),
            (RowChange::Removed, &self.removed),
        ] {
            for tuple in tuples.iter().take(ROWS_SHOWN) {
                shown.push(DiffRow {
                    change,
                    key: texts(warehouse, template, tuple, self.keys).await?,
                    columns: Vec::new(),
                });
            }
        }
        for ChangedTuple { old, new } in self.changed.iter().take(ROWS_SHOWN) {
            let columns: Vec<usize> = changed_columns(old, new).collect();
            let old = texts(warehouse, template, old, &columns).await?;
            shown.push(DiffRow {
                change: RowChange::Changed,
                key: texts(warehouse, template, new, self.keys).await?,
                columns: old
                    .into_iter()
                    .zip(texts(warehouse, template, new, &columns).await?)
                    .map(|(warehouse, source)| ChangedValue { warehouse, source })
                    .collect(),
            });
        }
        Ok(shown)
    }
}

fn key_of<'t>(tuple: &'t [u8], keys: &[usize]) -> Vec<Option<&'t [u8]>> {
    let fields: Vec<_> = fields(tuple).collect();
    keys.iter()
        .map(|key| fields.get(*key).copied().flatten())
        .collect()
}

fn changed_columns(old: &[u8], new: &[u8]) -> impl Iterator<Item = usize> {
    fields(old)
        .zip(fields(new))
        .enumerate()
        .filter_map(|(column, (old, new))| (old != new).then_some(column))
}

/// Columns of a tuple as text.
async fn texts(
    warehouse: &Session,
    template: &Template,
    tuple: &[u8],
    columns: &[usize],
) -> Result<Vec<ColumnValue>> {
    let values: Vec<Raw> = key_of(tuple, columns).into_iter().map(Raw).collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
    let written: Vec<String> = columns
        .iter()
        .zip(1..)
        .map(|(column, n)| format!("(${n}::{})::text", template.columns[*column].ty.bare()))
        .collect();
    let sql = format!("SELECT {}", written.join(", "));
    let row = warehouse.query_one(&sql, &parameters).await?;
    Ok(columns
        .iter()
        .enumerate()
        .map(|(i, column)| ColumnValue {
            column: template.columns[*column].name.clone(),
            text: row.get(i),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::unmatched::Tuple;
    use super::*;
    use crate::unit::TemplateName;

    fn template(unique: &str) -> Template {
        let source = format!(
            "/*\ntime_column = \"at\"\n{unique}\n[columns]\nid = \"text\"\nat = \"date\"\nnote = \"text\"\n*/\nSELECT * FROM t"
        );
        Template::parse(TemplateName::parse("t").unwrap(), &source).unwrap()
    }

    fn tuple(id: &str, note: Option<&str>) -> Tuple {
        let mut bytes = vec![0, 3];
        for field in [Some(id), Some("date"), note] {
            let len = field.map_or(-1, |f| i32::try_from(f.len()).unwrap());
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(field.unwrap_or_default().as_bytes());
        }
        bytes.into()
    }

    fn rows(keys: &[usize], source: Vec<Tuple>, warehouse: Vec<Tuple>) -> RowDiff {
        let template = template("");
        let unmatched = Unmatched { source, warehouse };
        Matched::of(&unmatched, &template, keys).rows(&template)
    }

    #[test]
    fn rows_of_one_key_are_changed_rows_in_the_columns_that_differ() {
        let found = rows(
            &[0],
            vec![tuple("1", Some("x")), tuple("2", None), tuple("4", None)],
            vec![
                tuple("1", Some("y")),
                tuple("2", Some("")),
                tuple("3", None),
            ],
        );
        assert_eq!((found.added, found.removed, found.changed), (1, 1, 2));
        assert_eq!(found.columns, BTreeMap::from([("note".to_owned(), 2)]));
        assert!(found.by_key);
    }

    #[test]
    fn a_second_row_of_one_key_is_a_row_too_many() {
        let found = rows(
            &[0],
            vec![tuple("1", Some("x"))],
            vec![tuple("1", Some("y")), tuple("1", Some("z"))],
        );
        assert_eq!((found.added, found.removed, found.changed), (0, 1, 1));
    }

    #[test]
    fn without_a_key_rows_are_only_counted() {
        let found = rows(
            &[],
            vec![tuple("1", Some("x"))],
            vec![tuple("1", Some("y"))],
        );
        assert_eq!((found.added, found.removed, found.changed), (1, 1, 0));
        assert!(!found.by_key && found.columns.is_empty());
    }
}
