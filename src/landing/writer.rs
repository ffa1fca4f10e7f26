//! Writes one day into a Parquet file.

use super::failure::parquet_error;
use super::folder::TempFile;
use super::footer::{Footer, Origin, RowsInFile};
use super::object::ObjectPath;
use super::properties::properties;
use super::upload::Upload;
use crate::copy::Tally;
use crate::error::{Error, Kind, Result};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use std::io::{self, Write};

/// When a writer ends a row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// Encoded bytes after which a row group is ended. Default 32 MiB: with four jobs, half of the memory that a run may use.
    pub row_group_bytes: usize,
    /// Rows after which a row group is ended. Default 1,048,576.
    pub row_group_rows: usize,
}

impl Default for WriterOptions {
    fn default() -> WriterOptions {
        WriterOptions {
            row_group_bytes: 32 << 20,
            row_group_rows: 1 << 20,
        }
    }
}

/// The destination of encoded bytes.
pub(super) enum Sink {
    TempFile(TempFile),
    Upload(Upload),
}

impl Sink {
    fn bytes(&self) -> u64 {
        match self {
            Sink::TempFile(temp_file) => temp_file.bytes(),
            Sink::Upload(upload) => upload.bytes(),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Sink::TempFile(_) => 0,
            Sink::Upload(upload) => upload.memory(),
        }
    }

    /// Sends complete parts, and waits while too many are in flight.
    async fn pump(&mut self) -> Result<()> {
        match self {
            Sink::TempFile(_) => Ok(()),
            Sink::Upload(upload) => upload.pump().await,
        }
    }

    /// Waits until every byte is durable.
    async fn settle(&mut self) -> Result<()> {
        match self {
            Sink::TempFile(temp_file) => temp_file.sync().await,
            Sink::Upload(upload) => upload.settle().await,
        }
    }

    async fn publish(self) -> Result<u64> {
        match self {
            Sink::TempFile(temp_file) => temp_file.publish().await,
            Sink::Upload(upload) => upload.publish().await,
        }
    }

    async fn abort(self) {
        match self {
            Sink::TempFile(temp_file) => drop(temp_file),
            Sink::Upload(upload) => upload.abort().await,
        }
    }
}

/// [`ArrowWriter`] only lends its sink. This allows taking it out; nothing can be written afterwards.
struct SinkSlot(Option<Sink>);

impl Write for SinkSlot {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(Sink::TempFile(temp_file)) => temp_file.write(bytes),
            Some(Sink::Upload(upload)) => upload.write(bytes),
            None => Err(io::Error::other("the file is finished")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Encodes one day. The file is invisible until it is [finished](Writer::finish) and [published](Finished::publish). Dropped or
/// aborted before, it leaves nothing behind.
pub struct Writer {
    encoding: Encoding,
    origin: Origin,
    url: String,
    options: WriterOptions,
}

/// The file begins with the first rows, as its properties depend on them.
#[expect(clippy::large_enum_variant, reason = "one per day, and rarely moved")]
enum Encoding {
    Pending(Option<Sink>, SchemaRef),
    Started(ArrowWriter<SinkSlot>),
}

impl Writer {
    pub(super) fn new(
        sink: Sink,
        origin: Origin,
        schema: SchemaRef,
        url: String,
        options: WriterOptions,
    ) -> Writer {
        Writer {
            encoding: Encoding::Pending(Some(sink), schema),
            origin,
            url,
            options,
        }
    }

    pub fn object(&self) -> ObjectPath {
        self.origin.object()
    }

    /// Encodes rows on the calling thread. Ends a full row group.
    ///
    /// # Errors
    /// The folder or bucket rejects the bytes (a full disk, a connection that stays broken); [`Kind::Bug`] when the batch has
    /// another schema than the writer.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let row_group_bytes = self.options.row_group_bytes;
        let arrow = self.arrow(Some(batch))?;
        let written = arrow.write(batch);
        let is_full = arrow.memory_size() >= row_group_bytes;
        written.map_err(|e| self.failed(e))?;
        if is_full {
            return self.flush_row_group().await;
        }
        self.sink()?.pump().await
    }

    /// Bytes in memory: the current row group, and parts that wait to be sent.
    pub fn memory(&self) -> usize {
        match &self.encoding {
            Encoding::Pending(..) => 0,
            Encoding::Started(arrow) => {
                let waiting = arrow.inner().0.as_ref().map_or(0, Sink::memory);
                arrow.memory_size() + waiting
            }
        }
    }

    /// Ends the current row group to free its memory, when several concurrent days use too much. Otherwise row groups should
    /// be large: query engines read few large ones faster than many small ones.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn flush_row_group(&mut self) -> Result<()> {
        let Encoding::Started(arrow) = &mut self.encoding else {
            return Ok(());
        };
        let flushed = arrow.flush();
        flushed.map_err(|e| self.failed(e))?;
        self.sink()?.pump().await
    }

    /// Writes the footer and waits until every byte is durable.
    ///
    /// `restored` is about the tuples read back from the file, where they may not be byte for byte those of `tally`.
    ///
    /// # Errors
    /// As [`Writer::write`]; [`Kind::Bug`] when `tally` counted other rows than were written.
    pub async fn finish(
        mut self,
        tally: &Tally,
        restored: Option<RowsInFile>,
        run: i64,
    ) -> Result<Finished> {
        let object = self.object();
        let footer = Footer::new(self.origin.clone(), tally, restored, run);
        let arrow = self.arrow(None)?;
        for pair in footer.key_values()? {
            arrow.append_key_value_metadata(pair);
        }
        let finished = arrow
            .finish()
            .map(|metadata| metadata.file_metadata().num_rows());
        let written = finished.map_err(|e| self.failed(e))?;
        if u64::try_from(written) != Ok(tally.rows) {
            return Err(Error::new(
                Kind::Bug,
                format!(
                    "{written} rows were written, but {} were counted",
                    tally.rows
                ),
            ));
        }
        let mut sink = self.take_sink().ok_or_else(already_finished)?;
        if let Err(e) = sink.settle().await {
            sink.abort().await;
            return Err(e);
        }
        Ok(Finished {
            sink,
            object,
            url: self.url,
        })
    }

    /// Discards the file, and waits until it is removed.
    pub async fn abort(mut self) {
        if let Some(sink) = self.take_sink() {
            sink.abort().await;
        }
    }

    /// Begins the file with its first rows, or without rows.
    fn arrow(&mut self, rows: Option<&RecordBatch>) -> Result<&mut ArrowWriter<SinkSlot>> {
        if let Encoding::Pending(sink, schema) = &mut self.encoding {
            let empty = || RecordBatch::new_empty(schema.clone());
            let sample = rows.cloned().unwrap_or_else(empty);
            let properties = properties(&sample, self.options.row_group_rows);
            let slot = SinkSlot(sink.take());
            let arrow = ArrowWriter::try_new(slot, schema.clone(), Some(properties));
            self.encoding = Encoding::Started(arrow.map_err(|e| self.failed(e))?);
        }
        match &mut self.encoding {
            Encoding::Started(arrow) => Ok(arrow),
            Encoding::Pending(..) => Err(already_finished()),
        }
    }

    fn sink(&mut self) -> Result<&mut Sink> {
        let slot = self.arrow(None)?.inner_mut();
        slot.0.as_mut().ok_or_else(already_finished)
    }

    fn take_sink(&mut self) -> Option<Sink> {
        match &mut self.encoding {
            Encoding::Pending(sink, _) => sink.take(),
            Encoding::Started(arrow) => arrow.inner_mut().0.take(),
        }
    }

    fn failed(&self, cause: ParquetError) -> Error {
        parquet_error("write", &self.url, cause)
    }
}

fn already_finished() -> Error {
    Error::new(Kind::Bug, "a file was written to after it was finished")
}

/// A day that is complete and durable, but not visible yet. Removed when it is dropped.
pub struct Finished {
    sink: Sink,
    object: ObjectPath,
    url: String,
}

impl Finished {
    pub fn object(&self) -> &ObjectPath {
        &self.object
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.sink.bytes()
    }

    /// Makes it the object of its unit in one step, and replaces an existing one.
    ///
    /// # Errors
    /// The folder or bucket rejects it. An existing object is unchanged.
    pub async fn publish(self) -> Result<LandedObject> {
        let bytes = self.sink.publish().await?;
        Ok(LandedObject {
            object: self.object,
            url: self.url,
            bytes,
        })
    }

    /// Discards the file, and waits until it is removed.
    pub async fn abort(self) {
        self.sink.abort().await;
    }
}

/// A published file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandedObject {
    pub object: ObjectPath,
    pub url: String,
    pub bytes: u64,
}
