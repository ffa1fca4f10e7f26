//! `[columns]`: names, types, and the other properties of a column.

use super::{FrontMatter, FrontMatterReader, Value, in_order};
use crate::schema::arrow::is_unbounded;
use crate::schema::{Column, DECIMAL256_DIGITS, LandAs, Modifier, PgType};
use crate::unit::IDENTIFIER_BYTES;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// The system columns of every table, and the column that the public view adds.
const TAKEN_NAMES: [&str; 7] = [
    "schema_name",
    "ctid",
    "xmin",
    "xmax",
    "cmin",
    "cmax",
    "tableoid",
];

/// Columns of a table, less the public view's `schema_name`.
const MAX_COLUMNS: usize = 1599;

impl FrontMatterReader<'_> {
    pub(super) fn columns(&mut self, value: &Value<'_>, front: &mut FrontMatter) {
        let Some(table) = value.get_ref().as_table() else {
            let message = format!(
                "`columns` must be a table, not {}",
                value.get_ref().type_str()
            );
            self.error_help(
                &value.span(),
                message,
                "write `[columns]`, followed by `id = \"bigint\"`",
            );
            return;
        };
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            self.column_name(name, &key.span());
            let Some(column) = self.column(name, value) else {
                self.refused.push(name.to_owned());
                continue;
            };
            front.column_lines.push(self.line(&key.span()));
            front.columns.push(column);
        }
        if table.len() > MAX_COLUMNS {
            let message = format!(
                "{} columns: a view has at most 1,600, of which `schema_name` is one",
                table.len()
            );
            self.error_help(&value.span(), message, "split the template in two");
        }
    }

    fn column_name(&mut self, name: &str, span: &Range<usize>) {
        if name.is_empty() || name.contains('\0') {
            self.error(span, "a column name must have at least one character");
        } else if name.len() > IDENTIFIER_BYTES {
            let message = format!(
                "column name `{name}` is {} bytes long; PostgreSQL allows {IDENTIFIER_BYTES}",
                name.len()
            );
            self.error_help(span, message, "rename it with `AS` in the query");
        } else if TAKEN_NAMES.contains(&name) {
            let why = match name {
                "schema_name" => "the public view's first column",
                _ => "a system column of every table",
            };
            let message = format!("a column cannot be named `{name}`, the name of {why}");
            self.error_help(span, message, "rename it with `AS` in the query");
        }
    }

    /// `"type"`, or `{ type = "type", round = true, land = "text", mask = "hash" }`.
    fn column(&mut self, name: &str, value: &Value<'_>) -> Option<Column> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(Column {
                name: name.to_owned(),
                ty: self.pg_type(name, text, &value.span())?,
                round: false,
                land: None,
                mask: None,
            });
        }
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("the type of column `{name}` is not a string");
            self.error_help(
                &value.span(),
                message,
                format!(
                    "write `{name} = \"text\"`, or `{{ type = \"numeric(10,2)\", round = true }}`"
                ),
            );
            return None;
        };
        self.column_of_table(name, table, &value.span())
    }

    fn column_of_table(
        &mut self,
        name: &str,
        table: &DeTable<'_>,
        span: &Range<usize>,
    ) -> Option<Column> {
        let mut ty = None;
        let mut round = None;
        let mut land = None;
        let mut land_span = 0..0;
        let mut mask = None;
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "type" => {
                    let text = self.text(value)?;
                    ty = Some(self.pg_type(name, &text, &value.span())?);
                }
                "round" => match value.get_ref().as_bool() {
                    Some(true) => round = Some(value.span()),
                    Some(false) => {}
                    None => self.error(&value.span(), "`round` must be `true` or `false`"),
                },
                "land" => {
                    land = Some(self.land(name, value)?);
                    land_span = value.span();
                }
                "mask" => mask = Some(self.mask(name, value)?),
                unknown => self.error_help(
                    &key.span(),
                    format!("unknown key `{unknown}` of column `{name}`"),
                    "the keys are type, round, land, mask",
                ),
            }
        }
        let Some(ty) = ty else {
            self.error(span, format!("column `{name}` has no `type`"));
            return None;
        };
        let column = Column {
            name: name.to_owned(),
            ty,
            round: round.is_some(),
            land,
            mask,
        };
        let round_fits = round.is_none_or(|span| self.check_round(&column, &span));
        let land_fits = self.check_land(&column, &land_span);
        (round_fits && land_fits).then_some(column)
    }

    fn land(&mut self, column: &str, value: &Value<'_>) -> Option<LandAs> {
        let text = self.text(value)?;
        match LandAs::parse(&text) {
            Ok(land) => Some(land),
            Err(e) => {
                self.error(&value.span(), format!("column `{column}`: {}", e.message()));
                None
            }
        }
    }

    /// Whether `round`, which is at `span`, applies to the column's type.
    fn check_round(&mut self, Column { name, ty, .. }: &Column, span: &Range<usize>) -> bool {
        let fits = matches!(ty.modifier, Modifier::Numeric { .. });
        if !fits {
            let message =
                format!("`round` applies only to `numeric(p,s)`, but column `{name}` is `{ty}`");
            self.error_help(span, message, "declare `numeric(p,s)`, or remove `round`");
        }
        fits
    }

    /// Whether the column's type can have its `land`, which is at `span`.
    fn check_land(&mut self, column: &Column, span: &Range<usize>) -> bool {
        let Column { name, ty, .. } = column;
        let fits = column.land.is_none() || is_unbounded(*ty);
        if !fits {
            let message = format!(
                "`land` applies only to numeric without precision, but column `{name}` is `{ty}`"
            );
            let help = match ty.modifier {
                Modifier::Numeric { precision, .. } if precision > DECIMAL256_DIGITS.into() => {
                    "declare `numeric` without precision: no decimal in a file has so many digits"
                }
                _ => "remove `land`: this type always lands without loss",
            };
            self.error_help(span, message, help);
        }
        fits
    }

    fn pg_type(&mut self, column: &str, text: &str, span: &Range<usize>) -> Option<PgType> {
        match PgType::parse(text) {
            Ok(ty) => Some(ty),
            Err(e) => {
                self.error(span, format!("column `{column}`: {}", e.message()));
                None
            }
        }
    }
}
