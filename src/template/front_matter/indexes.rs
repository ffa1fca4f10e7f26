//! `unique` and `indexes`.

use super::{FrontMatter, FrontMatterReader, Value};
use crate::schema::{Column, Scalar};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// PostgreSQL's INDEX_MAX_KEYS.
const INDEX_COLUMNS: usize = 32;

impl FrontMatterReader<'_> {
    pub(super) fn unique_and_indexes(&mut self, table: &DeTable<'_>, front: &mut FrontMatter) {
        if let Some(value) = table.get("unique") {
            front.unique = self
                .key_columns("unique", value, &front.columns)
                .unwrap_or_default();
        }
        if let Some(value) = table.get("indexes") {
            front.indexes = self.indexes(value, &front.columns);
        }
        let leads = |index: &Vec<String>| index.first() == Some(&front.time_column);
        if !front.time_column.is_empty() && !front.indexes.iter().any(leads) {
            front.indexes.insert(0, vec![front.time_column.clone()]);
        }
    }

    fn indexes(&mut self, value: &Value<'_>, columns: &[Column]) -> Vec<Vec<String>> {
        let Some(list) = value.get_ref().as_array() else {
            self.error_help(
                &value.span(),
                "`indexes` must be a list".to_owned(),
                "write `indexes = [\"store\", [\"store\", \"ordered_at\"]]`",
            );
            return Vec::new();
        };
        let mut indexes: Vec<Vec<String>> = Vec::new();
        for item in list.iter() {
            let index = match item.get_ref() {
                DeValue::String(name) => {
                    let known = self.known_column("index", name, &item.span(), columns);
                    known.then(|| vec![name.clone().into_owned()])
                }
                _ => self.key_columns("index", item, columns),
            };
            match index {
                Some(index) if indexes.contains(&index) => self.error(
                    &item.span(),
                    format!("index on `{}` is declared twice", index.join(", ")),
                ),
                Some(index) => indexes.push(index),
                None => {}
            }
        }
        indexes
    }

    /// A list of columns that fits into one index.
    fn key_columns(
        &mut self,
        what: &str,
        value: &Value<'_>,
        columns: &[Column],
    ) -> Option<Vec<String>> {
        let Some(list) = value.get_ref().as_array() else {
            self.error(&value.span(), format!("`{what}` must be a list of columns"));
            return None;
        };
        let mut names: Vec<String> = Vec::new();
        for item in list.iter() {
            let name = self.text(item)?;
            if !self.known_column(what, &name, &item.span(), columns) {
                return None;
            }
            if names.contains(&name) {
                self.error(
                    &item.span(),
                    format!("{what}: column `{name}` is listed twice"),
                );
                return None;
            }
            names.push(name);
        }
        if names.is_empty() || names.len() > INDEX_COLUMNS {
            self.error(
                &value.span(),
                format!(
                    "{what}: {} columns; PostgreSQL allows 1 to {INDEX_COLUMNS}",
                    names.len()
                ),
            );
            return None;
        }
        Some(names)
    }

    fn known_column(
        &mut self,
        what: &str,
        name: &str,
        span: &Range<usize>,
        columns: &[Column],
    ) -> bool {
        let Some(column) = columns.iter().find(|c| c.name == name) else {
            // If a column could not be read, that has already been reported.
            if !columns.is_empty() && !self.refused.iter().any(|r| r == name) {
                self.error(span, format!("{what}: no column `{name}` is declared"));
            }
            return false;
        };
        if column.ty.scalar == Scalar::Json {
            let message = format!(
                "{what}: column `{name}` is `{}`, which cannot be sorted",
                column.ty
            );
            self.error_help(
                span,
                message,
                "declare `jsonb`, or remove it from the index",
            );
            return false;
        }
        true
    }
}
