//! One day on its way into a Parquet file.

use super::Options;
use super::failure::parquet_error;
use super::folder::Aside;
use super::footer::{Footer, Origin};
use super::object::ObjectPath;
use super::properties::properties;
use super::upload::Upload;
use crate::copy::{Digest, Tally};
use crate::error::{Error, Kind, Result};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use std::io::{self, Write};

/// Where encoded bytes go.
pub(super) enum Sink {
    Aside(Aside),
    Upload(Upload),
}

impl Sink {
    fn bytes(&self) -> u64 {
        match self {
            Sink::Aside(aside) => aside.bytes(),
            Sink::Upload(upload) => upload.bytes(),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Sink::Aside(_) => 0,
            Sink::Upload(upload) => upload.memory(),
        }
    }

    /// Sends what is ready, and waits while too much is on its way.
    async fn pump(&mut self) -> Result<()> {
        match self {
            Sink::Aside(_) => Ok(()),
            Sink::Upload(upload) => upload.pump().await,
        }
    }

    /// Waits until every byte is safe.
    async fn settle(&mut self) -> Result<()> {
        match self {
            Sink::Aside(aside) => aside.sync().await,
            Sink::Upload(upload) => upload.settle().await,
        }
    }

    async fn publish(self) -> Result<u64> {
        match self {
            Sink::Aside(aside) => aside.publish().await,
            Sink::Upload(upload) => upload.publish().await,
        }
    }

    async fn abort(self) {
        match self {
            Sink::Aside(aside) => drop(aside),
            Sink::Upload(upload) => upload.abort().await,
        }
    }
}

/// [`ArrowWriter`] gives its sink back only by borrowing it: once taken, nothing more is written.
struct Lent(Option<Sink>);

impl Write for Lent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(Sink::Aside(aside)) => aside.write(bytes),
            Some(Sink::Upload(upload)) => upload.write(bytes),
            None => Err(io::Error::other("the file is finished")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One day, being encoded. Nothing of it can be seen until it is [finished](Writer::finish) and
/// [published](Finished::publish); dropped or aborted before, nothing of it is left.
pub struct Writer {
    rows: Rows,
    origin: Origin,
    url: String,
    options: Options,
}

/// How the columns are written depends on the first rows.
#[expect(clippy::large_enum_variant, reason = "one a day, and hardly moved")]
enum Rows {
    Awaited(Option<Sink>, SchemaRef),
    Coming(ArrowWriter<Lent>),
}

impl Writer {
    pub(super) fn new(
        sink: Sink,
        origin: Origin,
        schema: SchemaRef,
        url: String,
        options: Options,
    ) -> Writer {
        Writer {
            rows: Rows::Awaited(Some(sink), schema),
            origin,
            url,
            options,
        }
    }

    pub fn object(&self) -> ObjectPath {
        self.origin.object()
    }

    /// Encodes rows, on the calling thread; sends and waits when a row group is full.
    ///
    /// # Errors
    /// The folder or bucket does not take the bytes (a full disk, a connection that stays broken); [`Kind::Bug`] when
    /// the batch is not of the schema the writer was made with.
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

    /// Bytes held: the row group that is being encoded, and what waits to be sent.
    pub fn memory(&self) -> usize {
        match &self.rows {
            Rows::Awaited(..) => 0,
            Rows::Coming(arrow) => {
                let waiting = arrow.inner().0.as_ref().map_or(0, Sink::memory);
                arrow.memory_size() + waiting
            }
        }
    }

    /// Ends the row group that is being encoded, to free its memory: for several days at once that together hold too
    /// much. Engines read few large row groups faster than many small ones.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn flush_row_group(&mut self) -> Result<()> {
        let Rows::Coming(arrow) = &mut self.rows else {
            return Ok(());
        };
        let flushed = arrow.flush();
        flushed.map_err(|e| self.failed(e))?;
        self.sink()?.pump().await
    }

    /// Writes the footer and waits until every byte is safe where it lies.
    ///
    /// `restored_digest` is that of the tuples that the file will give back, where they are not byte for byte those of
    /// `tally`.
    ///
    /// # Errors
    /// As [`Writer::write`]; [`Kind::Bug`] when `tally` counted other rows than were written.
    pub async fn finish(
        mut self,
        tally: &Tally,
        restored_digest: Option<Digest>,
        run: i64,
    ) -> Result<Finished> {
        let object = self.object();
        let footer = Footer::new(self.origin.clone(), tally, restored_digest, run);
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
                    "{written} rows were written where {} were counted",
                    tally.rows
                ),
            ));
        }
        let mut sink = self.take_sink().ok_or_else(finished_twice)?;
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

    /// Gives up, and waits until nothing is left.
    pub async fn abort(mut self) {
        if let Some(sink) = self.take_sink() {
            sink.abort().await;
        }
    }

    /// Begins the file with the first rows, or without any.
    fn arrow(&mut self, rows: Option<&RecordBatch>) -> Result<&mut ArrowWriter<Lent>> {
        if let Rows::Awaited(sink, schema) = &mut self.rows {
            let none = || RecordBatch::new_empty(schema.clone());
            let sample = rows.cloned().unwrap_or_else(none);
            let properties = properties(&sample, self.options.row_group_rows);
            let lent = Lent(sink.take());
            let arrow = ArrowWriter::try_new(lent, schema.clone(), Some(properties));
            self.rows = Rows::Coming(arrow.map_err(|e| self.failed(e))?);
        }
        match &mut self.rows {
            Rows::Coming(arrow) => Ok(arrow),
            Rows::Awaited(..) => Err(finished_twice()),
        }
    }

    fn sink(&mut self) -> Result<&mut Sink> {
        let lent = self.arrow(None)?.inner_mut();
        lent.0.as_mut().ok_or_else(finished_twice)
    }

    fn take_sink(&mut self) -> Option<Sink> {
        match &mut self.rows {
            Rows::Awaited(sink, _) => sink.take(),
            Rows::Coming(arrow) => arrow.inner_mut().0.take(),
        }
    }

    fn failed(&self, cause: ParquetError) -> Error {
        parquet_error("writing", &self.url, cause)
    }
}

fn finished_twice() -> Error {
    Error::new(Kind::Bug, "a file was written to after its end")
}

/// A day that is complete and safe, and that nobody sees yet. Gone when it is dropped.
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

    /// Makes it the object of its unit, in one step, whatever was there.
    ///
    /// # Errors
    /// The folder or bucket refuses. What was there before is still there, whole.
    pub async fn publish(self) -> Result<LandedObject> {
        let bytes = self.sink.publish().await?;
        Ok(LandedObject {
            object: self.object,
            url: self.url,
            bytes,
        })
    }

    /// Gives up, and waits until nothing is left.
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
