//! `mask`: how a column is masked on a laptop, and where a mask would contradict the rest of the template.

use super::{FrontMatter, FrontMatterReader, Value};
use crate::schema::{Column, Mask};
use crate::template::finding::Finding;

impl FrontMatterReader<'_> {
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

    /// Checks all masks; time column and unique columns must be known.
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

/// Why a column cannot have this mask, and what to write instead.
fn objection(column: &Column, mask: Mask, front: &FrontMatter) -> Option<(String, String)> {
    let Column { name, ty, .. } = column;
    if *name == front.time_column {
        return Some((
            format!(
                "the time column `{name}` cannot be masked: it decides which day a row belongs to"
            ),
            "remove `mask`".to_owned(),
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
            Some(instead) => format!("only `mask = \"hash\"` keeps them different: {instead}"),
        };
        return Some((
            format!(
                "column `{name}` is unique, but `mask = \"{mask}\"` can give different values the same mask"
            ),
            help,
        ));
    }
    None
}
