//! `mask`: how a column is masked on its way to a laptop, and where that would break what the template says.

use super::{FrontMatter, Reader, Value};
use crate::schema::{Column, Mask};
use crate::template::finding::Finding;

impl Reader<'_> {
    pub(super) fn mask(&mut self, column: &str, value: &Value<'_>) -> Option<Mask> {
        let text = self.text(value)?;
        match Mask::parse(&text) {
            Ok(mask) => Some(mask),
            Err(e) => {
                let message = format!("column `{column}`: {}", e.message());
                self.error_help(&value.span(), message, e.hint().unwrap_or_default());
                None
            }
        }
    }

    /// Looks at all masks when time column and unique columns are known.
    pub(super) fn masks(&mut self, front: &FrontMatter) {
        let lines = front.column_lines.iter();
        for (column, line) in front.columns.iter().zip(lines) {
            if let Some((message, help)) = column.mask.and_then(|m| objection(column, m, front)) {
                self.findings
                    .push(Finding::error(*line, message).help(help));
            }
        }
    }
}

/// Why a column cannot be masked so, and what to write.
fn objection(column: &Column, mask: Mask, front: &FrontMatter) -> Option<(String, String)> {
    let Column { name, ty, .. } = column;
    if *name == front.time_column {
        return Some((
            format!(
                "the time column `{name}` cannot be masked: it says which day a row belongs to"
            ),
            "leave `mask` out".to_owned(),
        ));
    }
    if let Some(instead) = mask.refusal(*ty) {
        return Some((
            format!("column `{name}` is `{ty}`, which `mask = \"{mask}\"` cannot mask"),
            instead.to_owned(),
        ));
    }
    if front.unique.contains(name) && !mask.keeps_apart() {
        let help = match Mask::Hash.refusal(*ty) {
            None => "write `mask = \"hash\"`, which keeps different values different".to_owned(),
            Some(instead) => format!("`mask = \"hash\"` would keep them so: {instead}"),
        };
        return Some((
            format!(
                "column `{name}` is unique, and `mask = \"{mask}\"` would make different values one"
            ),
            help,
        ));
    }
    None
}
