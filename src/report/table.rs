//! The layout of all tables: columns separated by spaces, numbers to the right, no borders.

use comfy_table::{Cell, CellAlignment, Row, Table, presets};

/// A table under construction.
pub struct Sheet {
    table: Table,
    right: Vec<bool>,
}

impl Sheet {
    /// A heading that starts with `>` is that of a column of numbers, which is right-aligned.
    pub fn new(headings: &[&str]) -> Sheet {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let right = headings.iter().map(|h| h.starts_with('>')).collect();
        let mut sheet = Sheet { table, right };
        let names = headings
            .iter()
            .map(|h| h.trim_start_matches('>').to_owned());
        let header = sheet.cells(names);
        sheet.table.set_header(header);
        sheet
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let row = self.cells(cells);
        self.table.add_row(row);
    }

    fn cells(&self, cells: impl IntoIterator<Item = String>) -> Row {
        cells
            .into_iter()
            .enumerate()
            .map(|(i, text)| {
                let right = self.right.get(i).copied().unwrap_or(false);
                Cell::new(text).set_alignment(if right {
                    CellAlignment::Right
                } else {
                    CellAlignment::Left
                })
            })
            .collect::<Vec<_>>()
            .into()
    }

    /// The table's lines, without trailing spaces.
    pub fn render(&self) -> String {
        let lines: Vec<String> = self
            .table
            .lines()
            .map(|line| {
                line.strip_prefix(' ')
                    .unwrap_or(&line)
                    .trim_end()
                    .to_owned()
            })
            .collect();
        lines.join("\n")
    }
}

/// A text that is at most `width` characters wide; `…` stands for the rest.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_wide_is_cut() {
        for (text, short) in [
            ("sync", "sync"),
            ("sync --land", "sync --land"),
            ("sync --tenant", "sync --ten…"),
            ("backfill a b c", "backfill a…"),
            ("größte Fläche", "größte Flä…"),
        ] {
            assert_eq!(cut(text, 11), short);
        }
    }

    #[test]
    fn columns_are_separated_and_numbers_right_aligned() {
        let mut sheet = Sheet::new(&["tenant", ">rows"]);
        sheet.row(["acme".into(), "7".into()]);
        sheet.row(["zenith-prod".into(), "1,000".into()]);
        assert_eq!(
            sheet.render(),
            "tenant        rows\nacme             7\nzenith-prod  1,000"
        );
    }
}
