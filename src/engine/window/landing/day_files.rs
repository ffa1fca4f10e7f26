//! The files of a window's days, all of them open at once.
//!
//! # Memory usage
//!
//! Rows that wait to be encoded: at most [`DECODED_BYTES`] over all days. Encoded rows of open files: at most
//! [`ENCODED_BYTES`]; beyond that the largest file ends its row group. A file is opened with its first full batch.

use super::landed::Landed;
use crate::copy::{Decoder, Digest, Encoder, Tally, tuples};
use crate::engine::window::day_buffer::DayBuffer;
use crate::engine::window::drain::RowSink;
use crate::error::{At, Error, Kind, Result, Side};
use crate::landing::{Finished, Landing, Origin, RowsInFile, Writer};
use crate::schema::Column;
use crate::schema::arrow::is_exact;
use crate::template::Template;
use crate::unit::{Day, SchemaName, TenantName};
use arrow_array::RecordBatch;
use bytes::BytesMut;
use futures::StreamExt;
use std::ops::ControlFlow;

/// Rows of all days of a window that wait to be encoded.
const DECODED_BYTES: usize = 16 << 20;

/// Encoded rows of all open files of a window.
const ENCODED_BYTES: usize = 16 << 20;

/// Rows of a day after which they are encoded.
const BATCH_ROWS: usize = 16 << 10;

/// Memory of a day's rows after which they are encoded.
const BATCH_BYTES: usize = 2 << 20;

/// Files completed at once.
const FINISHED_AT_ONCE: usize = 8;

/// Bytes of tuples between two checks of how much is held.
const CHECK_BYTES: usize = 128 << 10;

/// Days that are being written into files. No file is visible before it is published; dropped before that, none is left.
pub struct DayFiles<'a> {
    pub lake: Lake<'a>,
    template: &'a Template,
    days: Vec<Day>,
    /// One per day.
    open: Vec<OpenDay>,
    /// Emptied, for the next day.
    spare: Option<Decoder>,
    /// `None` when files reproduce the tuples exactly.
    read_back: Option<ReadBack>,
    /// Bytes since the last check.
    pushed: usize,
    /// The first error in a row that was pushed.
    fault: Option<Error>,
    pub finished: Vec<CompleteFile>,
}

impl RowSink for DayFiles<'_> {
    fn row(&mut self, day: usize, tuple: &[u8]) {
        self.push(day, tuple);
    }

    async fn settle(&mut self, _bytes: usize) -> Result<ControlFlow<()>> {
        DayFiles::settle(self).await.on(Side::Landing)?;
        Ok(ControlFlow::Continue(()))
    }
}

/// A day's rows that are not encoded yet, and its file.
#[derive(Default)]
struct OpenDay {
    decoder: Option<Decoder>,
    writer: Option<Writer>,
    /// The rows as the file reproduces them.
    restored: RowsInFile,
}

/// A day whose file is complete and not yet published.
pub struct CompleteFile {
    pub day: Day,
    pub tally: Tally,
    /// Values that the file holds only rounded.
    pub rounded: u64,
    pub file: Finished,
}

/// Encodes rows as they are read back from a file.
struct ReadBack {
    encoder: Encoder,
    tuples: BytesMut,
}

impl ReadBack {
    fn new(columns: &[Column]) -> Result<Option<ReadBack>> {
        if is_exact(columns) {
            return Ok(None);
        }
        Ok(Some(ReadBack {
            encoder: Encoder::new(columns)?,
            tuples: BytesMut::new(),
        }))
    }

    fn add(&mut self, batch: &RecordBatch, digest: &mut Digest) -> Result<()> {
        self.tuples.clear();
        self.encoder
            .encode(batch, &mut self.tuples, |tuple| digest.add(tuple))
    }
}

/// Where a pair's files go, and what they record about their origin.
#[derive(Debug, Clone, Copy)]
pub struct Lake<'a> {
    pub landing: &'a Landing,
    pub tenant: &'a TenantName,
    pub schema: &'a SchemaName,
    pub landed: &'a Landed,
    pub run: i64,
}

impl<'a> DayFiles<'a> {
    /// # Errors
    /// Refused when a column cannot land.
    pub fn new(
        lake: Lake<'a>,
        template: &'a Template,
        days: impl IntoIterator<Item = Day>,
    ) -> Result<DayFiles<'a>> {
        let days: Vec<Day> = days.into_iter().collect();
        Ok(DayFiles {
            lake,
            template,
            open: days.iter().map(|_| OpenDay::default()).collect(),
            days,
            spare: Some(Decoder::new(&template.columns)?),
            read_back: ReadBack::new(&template.columns)?,
            pushed: 0,
            fault: None,
            finished: Vec::new(),
        })
    }

    /// Takes a tuple of a day, by the day's index. [`DayFiles::settle`] returns its error, if any.
    pub fn push(&mut self, day: usize, tuple: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        if let Err(error) = self.decode(day, tuple) {
            self.fault = Some(error.on_day(self.days[day]));
        }
        self.pushed += tuple.len();
    }

    fn decode(&mut self, day: usize, tuple: &[u8]) -> Result<()> {
        let open = &mut self.open[day];
        if open.decoder.is_none() {
            let new = match self.spare.take() {
                Some(spare) => spare,
                None => Decoder::new(&self.template.columns)?,
            };
            open.decoder = Some(new);
        }
        match &mut open.decoder {
            Some(decoder) => decoder.push(tuple),
            None => Ok(()),
        }
    }

    /// Encodes full batches, and what exceeds the memory budget. To be called often.
    ///
    /// # Errors
    /// A row that no file can hold, with its day; a file that cannot be written.
    pub async fn settle(&mut self) -> Result<()> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if self.pushed < CHECK_BYTES {
            return Ok(());
        }
        self.pushed = 0;
        let mut held = 0;
        for day in 0..self.open.len() {
            let bytes = self.decoded(day);
            if bytes >= BATCH_BYTES || self.rows(day) >= BATCH_ROWS {
                self.encode(day).await?;
            } else {
                held += bytes;
            }
        }
        while held > DECODED_BYTES {
            let Some(largest) = (0..self.open.len()).max_by_key(|day| self.decoded(*day)) else {
                break;
            };
            held = held.saturating_sub(self.decoded(largest).max(1));
            self.encode(largest).await?;
        }
        self.free_memory().await
    }

    fn decoded(&self, day: usize) -> usize {
        self.open[day].decoder.as_ref().map_or(0, Decoder::bytes)
    }

    fn rows(&self, day: usize) -> usize {
        self.open[day].decoder.as_ref().map_or(0, Decoder::rows)
    }

    fn encoded(&self, day: usize) -> usize {
        self.open[day].writer.as_ref().map_or(0, Writer::memory)
    }

    /// Ends row groups until the open files fit into the memory budget.
    async fn free_memory(&mut self) -> Result<()> {
        loop {
            let days = 0..self.open.len();
            if days.clone().map(|day| self.encoded(day)).sum::<usize>() <= ENCODED_BYTES {
                return Ok(());
            }
            let fullest = days.max_by_key(|day| self.encoded(*day));
            match fullest.and_then(|day| self.open[day].writer.as_mut()) {
                Some(writer) => writer.flush_row_group().await?,
                None => return Ok(()),
            }
        }
    }

    /// Encodes a day's waiting rows.
    async fn encode(&mut self, day: usize) -> Result<()> {
        let Some(decoder) = &mut self.open[day].decoder else {
            return Ok(());
        };
        if decoder.rows() == 0 {
            return Ok(());
        }
        let rounded = decoder.take_rounded();
        let batch = decoder.finish().map_err(|e| e.on_day(self.days[day]))?;
        self.open[day].restored.rounded += rounded;
        if let Some(read_back) = &mut self.read_back {
            read_back.add(&batch, &mut self.open[day].restored.digest)?;
        }
        self.writer(day).await?.write(&batch).await
    }

    async fn writer(&mut self, day: usize) -> Result<&mut Writer> {
        if self.open[day].writer.is_none() {
            let lake = self.lake;
            let origin = Origin::new(lake.tenant, lake.schema, self.template, self.days[day]);
            let schema = match &self.open[day].decoder {
                Some(decoder) => decoder.schema().clone(),
                None => crate::schema::arrow::arrow_schema(&self.template.columns)?,
            };
            self.open[day].writer = Some(lake.landing.create(origin, schema).await?);
        }
        self.open[day]
            .writer
            .as_mut()
            .ok_or_else(|| Error::new(Kind::Bug, "a file that was opened no longer exists"))
    }

    /// Writes all rows of a day, by its index, into its file.
    ///
    /// # Errors
    /// As [`DayFiles::settle`].
    pub async fn take_day(&mut self, day: usize, rows: &DayBuffer) -> Result<()> {
        for piece in rows.pieces() {
            tuples(piece).for_each(|tuple| self.push(day, tuple));
            self.settle().await?;
        }
        self.encode_rest(day).await
    }

    /// Encodes the rest of a day, and passes its decoder on to the next.
    async fn encode_rest(&mut self, day: usize) -> Result<()> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        self.encode(day).await?;
        self.writer(day).await?;
        let decoder = self.open[day].decoder.take();
        self.spare = decoder.or(self.spare.take());
        self.free_memory().await
    }

    /// Completes the files of days, by their indices. They are durable and not visible yet. A day without rows gets a file
    /// without rows: it was read, and is not missing. `each` is called after every file.
    ///
    /// # Errors
    /// As [`DayFiles::settle`].
    pub async fn finish(
        &mut self,
        tallies: impl IntoIterator<Item = (usize, Tally)>,
        mut each: impl FnMut(),
    ) -> Result<()> {
        let mut writers = Vec::new();
        for (day, tally) in tallies {
            self.encode_rest(day).await?;
            let open = std::mem::take(&mut self.open[day]);
            let restored = self.read_back.as_ref().map(|_| open.restored);
            if let Some(writer) = open.writer {
                writers.push((self.days[day], tally, restored, writer));
            }
        }
        let run = self.lake.run;
        // Making a file durable takes time: meanwhile the next one is encoded.
        let mut finished = futures::stream::iter(writers)
            .map(|(day, tally, restored, writer)| async move {
                let file = writer.finish(&tally, restored, run).await?;
                let rounded = restored.map_or(0, |restored| restored.rounded);
                Ok::<_, Error>(CompleteFile {
                    day,
                    tally,
                    rounded,
                    file,
                })
            })
            .buffered(FINISHED_AT_ONCE);
        while let Some(complete) = finished.next().await {
            self.finished.push(complete?);
            each();
        }
        Ok(())
    }

    /// Deletes all unpublished files.
    pub async fn abort(self) {
        for open in self.open {
            if let Some(writer) = open.writer {
                writer.abort().await;
            }
        }
        for complete in self.finished {
            complete.file.abort().await;
        }
    }
}
