//! How the columns of a file fit those of the warehouse: the same, or of another version of the template.

use crate::copy::Encoder;
use crate::error::{Error, Kind, Result};
use crate::schema::Column;
use crate::schema::LandAs;
use crate::template::Template;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use std::sync::Arc;

/// A version of the template as files were written with it, against the template that they are restored into.
#[derive(Debug)]
pub struct Fit {
    /// The template of the file's footer.
    pub written: Template,
    /// For each column of the warehouse its position in the file; `None` for one that came later. `None` as a whole: the
    /// columns are the same.
    from: Option<Vec<Option<usize>>>,
    /// Columns that the warehouse has and the file does not.
    pub added: Vec<String>,
    /// Columns that the file has and the warehouse does not.
    pub removed: Vec<String>,
}

impl Fit {
    /// # Errors
    /// [`Kind::Drift`] when a column's type changed between the two.
    pub fn new(written: Template, current: &Template) -> Result<Fit> {
        let same = |(a, b): (&Column, &Column)| a.name == b.name && a.ty == b.ty;
        let equal = written.columns.len() == current.columns.len()
            && written.columns.iter().zip(&current.columns).all(same);
        let position = |columns: &[Column], name: &str| columns.iter().position(|c| c.name == name);
        let mut from = Vec::with_capacity(current.columns.len());
        let mut added = Vec::new();
        for column in &current.columns {
            let found = position(&written.columns, &column.name);
            match found.map(|at| &written.columns[at]) {
                Some(old) if old.ty != column.ty => {
                    return Err(Error::new(
                        Kind::Drift,
                        format!(
                            "column `{}` is `{}` in the file (template version {}), `{}` in the template now",
                            column.name,
                            old.ty,
                            short(written.version()),
                            column.ty
                        ),
                    )
                    .with_hint("nothing is cast on the way back: load the day from its source (`dayhaul backfill`), or restore into an empty warehouse, which takes the template from the files"));
                }
                Some(_) => {}
                None => added.push(column.name.clone()),
            }
            from.push(found);
        }
        if added.contains(&current.time_column) {
            return Err(Error::new(
                Kind::Drift,
                format!("the file has no time column `{}`", current.time_column),
            ));
        }
        let removed = written
            .columns
            .iter()
            .filter(|c| position(&current.columns, &c.name).is_none())
            .map(|c| c.name.clone())
            .collect();
        Ok(Fit {
            from: (!equal).then_some(from),
            added,
            removed,
            written,
        })
    }

    /// Whether the warehouse's columns hold all that the file's do. Then the rows keep the file's version and digest, and
    /// can be compared by its columns; otherwise they are rows of the current version.
    pub fn keeps_version(&self) -> bool {
        self.removed.is_empty()
    }

    /// What a person should know of the file's version.
    pub fn note(&self) -> Option<String> {
        let list = |names: &[String]| format!("`{}`", names.join("`, `"));
        let version = short(self.written.version());
        match (self.added.is_empty(), self.removed.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!(
                "files of template version {version} have no {}: null in their days",
                list(&self.added)
            )),
            (true, false) => Some(format!(
                "files of template version {version} have {}, which the template has no more: left out",
                list(&self.removed)
            )),
            (false, false) => Some(format!(
                "files of template version {version} have no {}: null in their days; their {} is left out",
                list(&self.added),
                list(&self.removed)
            )),
        }
    }

    /// What gives the file's own tuples.
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn own(&self) -> Result<Encoder> {
        Encoder::new(&self.written.columns)
    }

    /// What gives the warehouse's tuples, where they are others than the file's own.
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn other(&self, current: &Template) -> Result<Option<Projection>> {
        let Some(from) = &self.from else {
            return Ok(None);
        };
        let columns: Vec<Column> = from
            .iter()
            .zip(&current.columns)
            .map(|(from, column)| match from {
                Some(at) => self.written.columns[*at].clone(),
                // All null: how its values would land does not matter, but must be said.
                None => Column {
                    land: column.land.or(Some(LandAs::Text)),
                    ..column.clone()
                },
            })
            .collect();
        Ok(Some(Projection {
            encoder: Encoder::new(&columns)?,
            from: from.clone(),
        }))
    }
}

/// Gives the rows of a file as tuples of other columns.
pub struct Projection {
    pub encoder: Encoder,
    from: Vec<Option<usize>>,
}

impl Projection {
    /// # Errors
    /// [`Kind::Bug`].
    pub fn project(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = Arc::clone(self.encoder.schema());
        let columns: Vec<ArrayRef> = self
            .from
            .iter()
            .zip(schema.fields())
            .map(|(from, field)| match from {
                Some(at) => Arc::clone(batch.column(*at)),
                None => new_null_array(field.data_type(), batch.num_rows()),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(|e| Error::new(Kind::Bug, "columns cannot be put together").with_source(e))
    }
}

/// Enough of a version to tell two apart.
fn short(version: &str) -> String {
    version.chars().take(8).collect()
}
