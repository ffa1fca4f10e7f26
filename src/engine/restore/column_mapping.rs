//! Maps the columns of a file to those of the warehouse, which may have another version of the template.

use crate::copy::Encoder;
use crate::error::{Error, Kind, Result};
use crate::schema::Column;
use crate::schema::LandAs;
use crate::template::Template;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use std::sync::Arc;

/// For each column of the warehouse its position in the file; `None` for a column that the file does not have.
type Positions = Vec<Option<usize>>;

/// From the template version that files were written with, to the version that they are restored into.
#[derive(Debug)]
pub struct ColumnMapping {
    /// The template in the file's footer.
    pub written: Template,
    /// `None` when the columns are the same.
    positions: Option<Positions>,
    /// Columns of the warehouse that the file does not have.
    pub added: Vec<String>,
    /// Columns of the file that the warehouse does not have.
    pub removed: Vec<String>,
}

impl ColumnMapping {
    /// # Errors
    /// [`Kind::Drift`] when a column's type changed between the two.
    pub fn new(written: Template, current: &Template) -> Result<ColumnMapping> {
        let same = |(a, b): (&Column, &Column)| a.name == b.name && a.ty == b.ty;
        let equal = written.columns.len() == current.columns.len()
            && written.columns.iter().zip(&current.columns).all(same);
        let position = |columns: &[Column], name: &str| columns.iter().position(|c| c.name == name);
        let mut positions = Vec::with_capacity(current.columns.len());
        let mut added = Vec::new();
        for column in &current.columns {
            let found = position(&written.columns, &column.name);
            match found.map(|at| &written.columns[at]) {
                Some(old) if old.ty != column.ty => {
                    return Err(other_type(column, old, &written));
                }
                Some(_) => {}
                None => added.push(column.name.clone()),
            }
            positions.push(found);
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
        Ok(ColumnMapping {
            positions: (!equal).then_some(positions),
            added,
            removed,
            written,
        })
    }

    /// Whether the warehouse has all columns of the file. Then the rows keep the file's version and digest, and can be
    /// compared by its columns; otherwise they become rows of the current version.
    pub fn keeps_version(&self) -> bool {
        self.removed.is_empty()
    }

    /// What a person should know about the file's version.
    pub fn note(&self) -> Option<String> {
        let list = |names: &[String]| format!("`{}`", names.join("`, `"));
        let version = short(self.written.version());
        let mut notes = Vec::new();
        if !self.added.is_empty() {
            notes.push(format!("null in their days: {}", list(&self.added)));
        }
        if !self.removed.is_empty() {
            notes.push(format!(
                "left out, because no longer in the template: {}",
                list(&self.removed)
            ));
        }
        (!notes.is_empty()).then(|| {
            format!(
                "files of template version {version} have other columns: {}",
                notes.join("; ")
            )
        })
    }

    /// Encodes the file's rows with the file's columns.
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn file_encoder(&self) -> Result<Encoder> {
        Encoder::new(&self.written.columns)
    }

    /// Encodes the file's rows with the warehouse's columns; `None` when these are the same.
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn projection(&self, current: &Template) -> Result<Option<Projection>> {
        let Some(positions) = &self.positions else {
            return Ok(None);
        };
        let columns: Vec<Column> = positions
            .iter()
            .zip(&current.columns)
            .map(|(position, column)| match position {
                Some(at) => self.written.columns[*at].clone(),
                // All null: the encoder needs a type to land as, though no value has it.
                None => Column {
                    land: column.land.or(Some(LandAs::Text)),
                    ..column.clone()
                },
            })
            .collect();
        Ok(Some(Projection {
            encoder: Encoder::new(&columns)?,
            positions: positions.clone(),
        }))
    }
}

/// Gives the rows of a file the columns of the warehouse.
pub struct Projection {
    pub encoder: Encoder,
    positions: Positions,
}

impl Projection {
    /// # Errors
    /// [`Kind::Bug`].
    pub fn project(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = Arc::clone(self.encoder.schema());
        let columns: Vec<ArrayRef> = self
            .positions
            .iter()
            .zip(schema.fields())
            .map(|(position, field)| match position {
                Some(at) => Arc::clone(batch.column(*at)),
                None => new_null_array(field.data_type(), batch.num_rows()),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(|e| Error::new(Kind::Bug, "failed to assemble the columns").with_source(e))
    }
}

fn other_type(now: &Column, then: &Column, written: &Template) -> Error {
    Error::new(
        Kind::Drift,
        format!(
            "column `{}` is `{}` in the file (template version {}), but `{}` in the current template",
            now.name,
            then.ty,
            short(written.version()),
            now.ty
        ),
    )
    .with_hint(
        "a restore does not cast values: load the day from its source (`dayhaul backfill --from D --to D`), or restore into an empty \
         warehouse, which takes the template from the files",
    )
}

/// The first characters of a version, enough to tell two apart.
fn short(version: &str) -> String {
    version.chars().take(8).collect()
}
