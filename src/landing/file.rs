//! A unit's file, opened and checked.

use super::failure::{io_error, parquet_error};
use super::footer::Footer;
use super::object::ObjectPath;
use crate::error::{At, Error, Kind, Result};
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Rows of a batch, at most.
const BATCH_ROWS: usize = 8192;

/// Bytes of a batch's columns that are aimed at.
const BATCH_BYTES: i64 = 8 << 20;

/// A file whose footer says that it holds the unit that its path names. Its rows have not been looked at: whoever reads
/// them compares their count and digest with the footer's.
pub struct LandedFile {
    file: Pages,
    metadata: ArrowReaderMetadata,
    schema: SchemaRef,
    footer: Footer,
    object: ObjectPath,
    url: String,
    bytes: u64,
}

impl LandedFile {
    pub(super) fn open(file: File, object: ObjectPath, url: String) -> Result<LandedFile> {
        let bytes = look_at_ends(&file)
            .map_err(|e| io_error("reading", &url, e))?
            .at(|| format!("`{url}`"))?;
        let file = Pages(Arc::new(file));
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|e| parquet_error("reading", &url, e))?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let footer = Footer::read(pairs).at(|| format!("`{url}`"))?;
        // The reader adds the footer's pairs to the schema, which is then equal to no other.
        let schema = Arc::new(Schema::new(metadata.schema().fields().clone()));
        let opened = LandedFile {
            file,
            metadata,
            schema,
            footer,
            object,
            url,
            bytes,
        };
        opened.check().at(|| format!("`{}`", opened.url))?;
        Ok(opened)
    }

    /// Whether path, footer and row groups agree.
    fn check(&self) -> Result<()> {
        let says = self.footer.origin.object();
        if says != self.object {
            return Err(Error::new(
                Kind::Io,
                format!("its footer says that it is `{says}`: a foreign file"),
            )
            .with_hint("move it away, or to where it belongs"));
        }
        let rows = self.metadata.metadata().file_metadata().num_rows();
        if u64::try_from(rows) != Ok(self.footer.rows) {
            return Err(Error::new(
                Kind::Io,
                format!(
                    "its footer says {} rows; its row groups hold {rows}",
                    self.footer.rows
                ),
            ));
        }
        Ok(())
    }

    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The columns as the file has them.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub fn object(&self) -> &ObjectPath {
        &self.object
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All rows, in batches of bounded size, decoded on the calling thread.
    ///
    /// # Errors
    /// The file cannot be read; so do the batches.
    pub fn batches(&self) -> Result<Batches> {
        let (file, metadata) = (self.file.clone(), self.metadata.clone());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_batch_size(self.batch_rows())
            .build()
            .map_err(|e| parquet_error("reading", &self.url, e))?;
        Ok(Batches {
            reader,
            schema: Arc::clone(&self.schema),
            url: self.url.clone(),
        })
    }

    /// By the row group whose rows are widest once they are decoded.
    fn batch_rows(&self) -> usize {
        let width = |group: &RowGroupMetaData| {
            let bytes: i64 = group.columns().iter().map(decoded_bytes).sum();
            bytes / group.num_rows().max(1)
        };
        let groups = self.metadata.metadata().row_groups();
        let widest = groups.iter().map(width).max().unwrap_or(0).max(1);
        usize::try_from(BATCH_BYTES / widest)
            .unwrap_or(BATCH_ROWS)
            .clamp(1, BATCH_ROWS)
    }
}

/// A text that stands in a dictionary once is decoded as often as it is used.
fn decoded_bytes(column: &ColumnChunkMetaData) -> i64 {
    let values = column.unencoded_byte_array_data_bytes().unwrap_or(0);
    column.uncompressed_size().max(values)
}

/// A file that several readers read at once, each at its own place.
#[derive(Clone)]
struct Pages(Arc<File>);

/// A place in a file.
struct Page {
    file: Arc<File>,
    offset: u64,
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |m| m.len())
    }
}

impl ChunkReader for Pages {
    type T = BufReader<Page>;

    fn get_read(&self, offset: u64) -> Result<Self::T, ParquetError> {
        let file = Arc::clone(&self.0);
        Ok(BufReader::new(Page { file, offset }))
    }

    fn get_bytes(&self, offset: u64, length: usize) -> Result<Bytes, ParquetError> {
        // A length that a damaged footer made up must not be allocated.
        if offset.saturating_add(length as u64) > self.len() {
            return Err(ParquetError::EOF("a page lies beyond the end".into()));
        }
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}

impl Read for Page {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(bytes, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

/// What a Parquet file begins and ends with.
const MAGIC: &[u8; 4] = b"PAR1";

/// Size of the file, when both ends are those of a Parquet file.
fn look_at_ends(file: &File) -> io::Result<Result<u64>> {
    let bytes = file.metadata()?.len();
    let mut begins = [0; 4];
    let seen = file.read_at(&mut begins, 0)?;
    if !MAGIC.starts_with(&begins[..seen]) {
        return Ok(Err(Error::new(Kind::Io, "it is no Parquet file")
            .with_hint("move it away: engines would read it among the rows")));
    }
    let mut ends = [0; 4];
    if bytes > 8 {
        file.read_exact_at(&mut ends, bytes - 4)?;
    }
    if ends != *MAGIC {
        return Ok(Err(Error::new(
            Kind::Io,
            format!("it is cut short: {bytes} bytes, and no footer at their end"),
        )));
    }
    Ok(Ok(bytes))
}

/// The rows of a file.
pub struct Batches {
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    url: String,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        let batch = self.reader.next()?;
        let batch = batch.and_then(|b| b.with_schema(Arc::clone(&self.schema)));
        Some(batch.map_err(|e| {
            Error::new(Kind::Io, format!("reading `{}` failed", self.url)).with_source(e)
        }))
    }
}
