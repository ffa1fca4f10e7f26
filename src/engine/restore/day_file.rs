//! One day's file, read for a restore: batches become tuples, which are counted and compared with the footer.

use super::column_mapping::{ColumnMapping, Projection};
use super::remarks::FileRemark;
use crate::copy::{Encoder, HEADER, Intake, SEND_BYTES, TRAILER, Tally};
use crate::error::{At, Error, Kind, Result};
use crate::landing::{Batches, Footer, LandedFile};
use crate::template::Template;
use crate::unit::Window;
use arrow_array::RecordBatch;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Rows encoded at once at first, while their length is not known.
const FIRST_ROWS: usize = 64;

/// An open file whose footer was checked.
///
/// # Memory usage
///
/// A batch of the file, and about [`SEND_BYTES`] of tuples.
pub struct DayFile {
    file: LandedFile,
    pub place: usize,
    pub columns: Arc<ColumnMapping>,
    pub remark: FileRemark,
    file_encoder: Encoder,
    /// `None` when the warehouse has the file's columns.
    projection: Option<Projection>,
    /// Checks, counts and routes the warehouse's tuples, as if they came from a tenant.
    intake: Intake,
    /// Tally of the file's tuples, when a projection makes them different from the warehouse's.
    file_tally: Tally,
    batches: Option<Batches>,
    batch: Option<RecordBatch>,
    /// Rows of the batch that were encoded.
    encoded: usize,
    /// Rows to encode at once.
    rows_at_once: usize,
}

/// The rows of a day's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoredRows {
    /// Rows sent to the warehouse.
    pub sent: u64,
    /// The tally for the ledger.
    pub tally: Tally,
}

/// Tuples for the warehouse.
pub struct Tuples {
    pub bytes: Bytes,
    pub rows: u64,
}

impl DayFile {
    pub fn new(
        file: LandedFile,
        place: usize,
        columns: Arc<ColumnMapping>,
        template: &Template,
        remark: FileRemark,
    ) -> Result<DayFile> {
        let url = file.url().to_owned();
        DayFile::prepare(file, place, columns, template, remark).at(|| format!("`{url}`"))
    }

    fn prepare(
        file: LandedFile,
        place: usize,
        columns: Arc<ColumnMapping>,
        template: &Template,
        remark: FileRemark,
    ) -> Result<DayFile> {
        let day = Window::single(file.footer().origin.day);
        let mut intake = Intake::new(&template.columns, template.time_index(), day);
        intake.push(&HEADER, |_, _| {})?;
        let file_encoder = columns.file_encoder()?;
        check_columns(&file, &file_encoder)?;
        Ok(DayFile {
            projection: columns.projection(template)?,
            file_encoder,
            batches: Some(file.batches()?),
            file,
            place,
            columns,
            remark,
            intake,
            file_tally: Tally::default(),
            batch: None,
            encoded: 0,
            rows_at_once: FIRST_ROWS,
        })
    }

    pub fn footer(&self) -> &Footer {
        self.file.footer()
    }

    pub fn url(&self) -> &str {
        self.file.url()
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// The template version for the ledger.
    pub fn version<'a>(&'a self, current: &'a Template) -> &'a str {
        if self.columns.keeps_version() {
            &self.footer().origin.version
        } else {
            current.version()
        }
    }

    /// The next tuples for the warehouse; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read, or its content is wrong. The error names its URL.
    pub fn tuples(&mut self) -> Result<Option<Tuples>> {
        let url = self.file.url().to_owned();
        self.next_tuples().at(|| format!("`{url}`"))
    }

    fn next_tuples(&mut self) -> Result<Option<Tuples>> {
        let mut counted = 0;
        while self.intake.waiting() < SEND_BYTES {
            let Some(rows) = self.next_rows()? else {
                break;
            };
            let mut tuples = BytesMut::with_capacity(2 * SEND_BYTES);
            if let Some(projection) = &mut self.projection {
                let tally = &mut self.file_tally;
                self.file_encoder
                    .encode(&rows, &mut tuples, |tuple| tally.add(tuple))?;
                tuples.clear();
                let rows = projection.project(&rows)?;
                projection.encoder.encode(&rows, &mut tuples, |_| {})?;
            } else {
                self.file_encoder.encode(&rows, &mut tuples, |_| {})?;
            }
            let each = tuples.len() / rows.num_rows().max(1);
            self.rows_at_once = (SEND_BYTES / each.max(1)).max(1);
            self.intake
                .push(&tuples, |_, _| counted += 1)
                .map_err(about_file)?;
        }
        let tuples = self.intake.take();
        Ok((!tuples.is_empty()).then_some(Tuples {
            bytes: tuples,
            rows: counted,
        }))
    }

    /// Some rows of the current batch, or of the next.
    fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = &self.batch {
                let left = batch.num_rows() - self.encoded;
                if left > 0 {
                    let rows = batch.slice(self.encoded, self.rows_at_once.min(left));
                    self.encoded += rows.num_rows();
                    return Ok(Some(rows));
                }
            }
            self.batch = None;
            let next = self.batches.as_mut().and_then(Iterator::next);
            match next.transpose()? {
                Some(batch) => (self.batch, self.encoded) = (Some(batch), 0),
                None => return Ok(None),
            }
        }
    }

    /// To be called after the last tuples: compares all rows with the footer.
    ///
    /// # Errors
    /// [`Kind::Data`]: rows or digest differ from the footer, or rows are outside the day.
    pub fn finish(&mut self) -> Result<RestoredRows> {
        let url = self.file.url().to_owned();
        self.check().at(|| format!("`{url}`"))
    }

    fn check(&mut self) -> Result<RestoredRows> {
        self.intake.push(&TRAILER, |_, _| {})?;
        let sent = self.intake.finish().map_err(about_file)?[0];
        let in_file = if self.projection.is_some() {
            self.file_tally
        } else {
            sent
        };
        let footer = self.file.footer();
        let declared = footer.digest_of_rows();
        if in_file.rows != footer.rows || in_file.digest != declared {
            return Err(Error::new(
                Kind::Data,
                format!(
                    "it holds {} rows with digest {}, but its footer declares {} rows with digest {declared}",
                    in_file.rows, in_file.digest, footer.rows
                ),
            )
            .with_hint("the file was changed or damaged: restore the day from another place, or load it from its source"));
        }
        Ok(RestoredRows {
            sent: sent.rows,
            tally: if self.columns.keeps_version() {
                in_file
            } else {
                sent
            },
        })
    }
}

/// Replaces the hint of [`Intake`], which is about a tenant's query.
fn about_file(error: Error) -> Error {
    Error::new(error.kind(), error.message().to_owned()).with_hint(
        "the file was not written by Dayhaul, or belongs to another day: load the day from its source",
    )
}

/// The file's columns must be those of the template in its footer.
fn check_columns(file: &LandedFile, encoder: &Encoder) -> Result<()> {
    let (found, wanted) = (file.schema(), encoder.schema());
    let same = found.fields().len() == wanted.fields().len()
        && found
            .fields()
            .iter()
            .zip(wanted.fields())
            .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
    if same {
        return Ok(());
    }
    Err(Error::new(
        Kind::Data,
        "its columns differ from the template in its footer",
    )
    .with_hint("the file was not written by Dayhaul: restore the day from another place, or load it from its source"))
}
