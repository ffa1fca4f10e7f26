//! `[columns]`: names, types, and what else is said of a column.

use super::{FrontMatter, Reader, Value, in_order};
use crate::schema::arrow::is_unbounded;
use crate::schema::{Column, LandAs, Modifier, PgType};
use crate::unit::IDENTIFIER_BYTES;
use std::ops::Range;
use toml::de::DeValue;

/// Columns that every table has already, and the one that the public view puts first.
const TAKEN_NAMES: [&str; 7] = [
    "schema_name",
    "ctid",
    "xmin",
    "xmax",
    "cmin",
    "cmax",
    "tableoid",
];

impl Reader<'_> {
    pub(super) fn columns(&mut self, value: &Value<'_>, front: &mut FrontMatter) {
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("`columns` is a table, not {}", value.get_ref().type_str());
            self.error_help(
                &value.span(),
                message,
                "write `[columns]`, then `id = \"bigint\"`",
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
    }

    fn column_name(&mut self, name: &str, span: &Range<usize>) {
        if name.is_empty() || name.contains('\0') {
            self.error(
                span,
                "a column's name is an identifier of at least one character",
            );
        } else if name.len() > IDENTIFIER_BYTES {
            let message = format!(
                "column name `{name}` is {} bytes long; PostgreSQL keeps {IDENTIFIER_BYTES}",
                name.len()
            );
            self.error_help(
                span,
                message,
                "give it a shorter name with `AS` in the query",
            );
        } else if TAKEN_NAMES.contains(&name) {
            let why = match name {
                "schema_name" => "the public view's first column",
                _ => "a system column of every table",
            };
            let message = format!("a column cannot be named `{name}`: that is {why}");
            self.error_help(span, message, "give it another name with `AS` in the query");
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
        let mut ty = None;
        let mut round = None;
        let mut land = None;
        let mut mask = None;
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "type" => {
                    let text = self.text(value)?;
                    ty = Some(self.pg_type(name, &text, &value.span())?);
                }
                "round" => match value.get_ref().as_bool() {
                    Some(yes) => round = Some((yes, value.span())),
                    None => self.error(&value.span(), "`round` is `true` or `false`"),
                },
                "land" => land = Some((self.land(name, value)?, value.span())),
                "mask" => mask = Some(self.mask(name, value)?),
                unknown => self.error_help(
                    &key.span(),
                    format!("unknown key `{unknown}` of column `{name}`"),
                    "the keys are type, round, land, mask",
                ),
            }
        }
        let Some(ty) = ty else {
            self.error(&value.span(), format!("column `{name}` has no `type`"));
            return None;
        };
        let column = Column {
            name: name.to_owned(),
            ty,
            round: matches!(round, Some((true, _))),
            land: land.as_ref().map(|(land, _)| *land),
            mask,
        };
        self.fits_type(&column, round, land).then_some(column)
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

    /// Whether `round` and `land` say something about a type like the column's.
    fn fits_type(
        &mut self,
        Column { name, ty, .. }: &Column,
        round: Option<(bool, Range<usize>)>,
        land: Option<(LandAs, Range<usize>)>,
    ) -> bool {
        let mut fits = true;
        if let Some((true, span)) = round
            && !matches!(ty.modifier, Modifier::Numeric { .. })
        {
            let message =
                format!("`round` rounds to a declared scale, and column `{name}` is `{ty}`");
            let help = "declare `numeric(p,s)`, or leave `round` out";
            self.error_help(&span, message, help);
            fits = false;
        }
        if let Some((_, span)) = land
            && !is_unbounded(*ty)
        {
            let message = format!(
                "`land` says how a numeric without precision lands, and column `{name}` is `{ty}`"
            );
            self.error_help(
                &span,
                message,
                "leave `land` out: such a column lands as it is",
            );
            fits = false;
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
