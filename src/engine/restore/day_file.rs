//! One day's file on its way: batches, tuples, tally, against what its footer says.

use super::fit::{Fit, Projection};
use crate::copy::{Encoder, HEADER, Intake, TRAILER, Tally};
use crate::engine::window::load::SEND_BYTES;
use crate::error::{At, Error, Kind, Result};
use crate::landing::{Batches, Footer, LandedFile};
use crate::template::Template;
use crate::unit::Window;
use arrow_array::RecordBatch;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Rows encoded at once at first, while nobody knows how long they are.
const FIRST_ROWS: usize = 64;

/// A file that is open, and whose footer is what it should be.
///
/// # Memory usage
///
/// A batch of the file, and about [`SEND_BYTES`] of tuples.
pub struct DayFile {
    file: LandedFile,
    pub place: usize,
    pub fit: Arc<Fit>,
    own: Encoder,
    other: Option<Projection>,
    /// Checks, counts and routes the warehouse's tuples, as if they came from a tenant.
    intake: Intake,
    /// Of the file's own tuples, where they are others.
    tally: Tally,
    batches: Option<Batches>,
    batch: Option<RecordBatch>,
    /// Rows of the batch that are through.
    through: usize,
    /// Rows to encode at once.
    rows: usize,
}

/// What a day's file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Came {
    /// Rows that were sent.
    pub sent: u64,
    /// What the ledger is to hold.
    pub tally: Tally,
}

impl DayFile {
    pub fn new(
        file: LandedFile,
        place: usize,
        fit: Arc<Fit>,
        template: &Template,
    ) -> Result<DayFile> {
        let day = Window::single(file.footer().origin.day);
        let mut intake = Intake::new(&template.columns, template.time_index(), day);
        intake.push(&HEADER, |_, _| {})?;
        let opened = |result: Result<DayFile>, url: &str| result.at(|| format!("`{url}`"));
        let url = file.url().to_owned();
        let made = (|| {
            let own = fit.own()?;
            same_columns(&file, &own)?;
            Ok(DayFile {
                other: fit.other(template)?,
                own,
                batches: Some(file.batches()?),
                file,
                place,
                fit,
                intake,
                tally: Tally::default(),
                batch: None,
                through: 0,
                rows: FIRST_ROWS,
            })
        })();
        opened(made, &url)
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

    /// The version that the ledger is to hold.
    pub fn version<'a>(&'a self, current: &'a Template) -> &'a str {
        if self.fit.keeps_version() {
            &self.footer().origin.version
        } else {
            current.version()
        }
    }

    /// The next tuples for the warehouse, and how many; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read, or holds what it should not, named by its URL.
    pub fn next(&mut self) -> Result<Option<(Bytes, u64)>> {
        let url = self.file.url().to_owned();
        self.next_tuples().at(|| format!("`{url}`"))
    }

    fn next_tuples(&mut self) -> Result<Option<(Bytes, u64)>> {
        let mut seen = 0;
        while self.intake.waiting() < SEND_BYTES {
            let Some(rows) = self.next_rows()? else {
                break;
            };
            let mut tuples = BytesMut::with_capacity(2 * SEND_BYTES);
            match &mut self.other {
                None => self.own.encode(&rows, &mut tuples, |_| {})?,
                Some(other) => {
                    let tally = &mut self.tally;
                    self.own
                        .encode(&rows, &mut tuples, |tuple| tally.add(tuple))?;
                    tuples.clear();
                    let rows = other.project(&rows)?;
                    other.encoder.encode(&rows, &mut tuples, |_| {})?;
                }
            }
            let each = tuples.len() / rows.num_rows().max(1);
            self.rows = (SEND_BYTES / each.max(1)).max(1);
            self.intake
                .push(&tuples, |_, _| seen += 1)
                .map_err(no_query)?;
        }
        let tuples = self.intake.take();
        Ok((!tuples.is_empty()).then_some((tuples, seen)))
    }

    /// Some rows of the batch at hand, or of the next.
    fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = &self.batch {
                let left = batch.num_rows() - self.through;
                if left > 0 {
                    let rows = batch.slice(self.through, self.rows.min(left));
                    self.through += rows.num_rows();
                    return Ok(Some(rows));
                }
            }
            self.batch = None;
            let next = self.batches.as_mut().and_then(Iterator::next);
            match next.transpose()? {
                Some(batch) => (self.batch, self.through) = (Some(batch), 0),
                None => return Ok(None),
            }
        }
    }

    /// After the last tuples: compares all that came with the footer.
    ///
    /// # Errors
    /// [`Kind::Data`]: rows or digest are not those of the footer, or rows lie outside the day.
    pub fn finish(&mut self) -> Result<Came> {
        let url = self.file.url().to_owned();
        self.check().at(|| format!("`{url}`"))
    }

    fn check(&mut self) -> Result<Came> {
        self.intake.push(&TRAILER, |_, _| {})?;
        let sent = self.intake.finish().map_err(no_query)?[0];
        let own = if self.other.is_some() {
            self.tally
        } else {
            sent
        };
        let footer = self.file.footer();
        let says = footer.digest_of_rows();
        if own.rows != footer.rows || own.digest != says {
            return Err(Error::new(
                Kind::Data,
                format!(
                    "it holds {} rows with digest {}; its footer says {} rows with digest {says}",
                    own.rows, own.digest, footer.rows
                ),
            )
            .with_hint("the file was changed or damaged: restore the day from another place, or load it from its source"));
        }
        Ok(Came {
            sent: sent.rows,
            tally: if self.fit.keeps_version() { own } else { sent },
        })
    }
}

/// What a tenant's rows are told about its query is not about a file.
fn no_query(error: Error) -> Error {
    Error::new(error.kind(), error.message().to_owned()).with_hint(
        "the file was not written by Dayhaul, or not of this day: load the day from its source",
    )
}

/// The file's columns must be those that its own template says.
fn same_columns(file: &LandedFile, own: &Encoder) -> Result<()> {
    let (found, wanted) = (file.schema(), own.schema());
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
        "its columns are not those of the template in its footer",
    )
    .with_hint("it was written by something else: restore the day from another place, or load it from its source"))
}
