//! A unit's file, opened and verified.

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

/// Most rows of a batch.
const BATCH_ROWS: usize = 8192;

/// Target size of a batch.
const BATCH_BYTES: i64 = 8 << 20;

/// A file whose footer and path name the same unit. Its rows have not been read: a reader must compare their count and digest
/// with the footer's.
pub struct LandedFile {
    file: SharedFile,
    metadata: ArrowReaderMetadata,
    schema: SchemaRef,
    footer: Footer,
    object: ObjectPath,
    url: String,
    bytes: u64,
}

impl LandedFile {
    pub(super) fn open(file: File, object: ObjectPath, url: String) -> Result<LandedFile> {
        let bytes = check_magic(&file)
            .map_err(|e| io_error("read", &url, e))?
            .at(|| format!("`{url}`"))?;
        let file = SharedFile(Arc::new(file));
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|e| parquet_error("read", &url, e))?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let footer = Footer::read(pairs).at(|| format!("`{url}`"))?;
        // The reader adds the footer's metadata to the schema, which would make it differ from the template's.
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

    /// Checks that path, footer and row groups agree.
    fn check(&self) -> Result<()> {
        let named = self.footer.origin.object();
        if named != self.object {
            return Err(Error::new(
                Kind::Io,
                format!("its footer names another unit: `{named}`"),
            )
            .with_hint("move the file to the path that its footer names, or remove it"));
        }
        let rows = self.metadata.metadata().file_metadata().num_rows();
        if u64::try_from(rows) != Ok(self.footer.rows) {
            return Err(Error::new(
                Kind::Io,
                format!(
                    "its footer declares {} rows, but its row groups contain {rows}",
                    self.footer.rows
                ),
            ));
        }
        Ok(())
    }

    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The columns of the file.
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
    /// The file cannot be read. Each batch can fail in the same way.
    pub fn batches(&self) -> Result<Batches> {
        let (file, metadata) = (self.file.clone(), self.metadata.clone());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_batch_size(self.batch_rows())
            .build()
            .map_err(|e| parquet_error("read", &self.url, e))?;
        Ok(Batches {
            reader,
            schema: Arc::clone(&self.schema),
            url: self.url.clone(),
        })
    }

    /// Rows per batch, for the row group with the widest decoded rows.
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

/// A text stored once in a dictionary is decoded as often as it is used.
fn decoded_bytes(column: &ColumnChunkMetaData) -> i64 {
    let values = column.unencoded_byte_array_data_bytes().unwrap_or(0);
    column.uncompressed_size().max(values)
}

/// A file that several readers read concurrently, each at its own offset.
#[derive(Clone)]
struct SharedFile(Arc<File>);

/// Reads a file from an offset.
struct FileReader {
    file: Arc<File>,
    offset: u64,
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |m| m.len())
    }
}

impl ChunkReader for SharedFile {
    type T = BufReader<FileReader>;

    fn get_read(&self, offset: u64) -> Result<Self::T, ParquetError> {
        let file = Arc::clone(&self.0);
        Ok(BufReader::new(FileReader { file, offset }))
    }

    fn get_bytes(&self, offset: u64, length: usize) -> Result<Bytes, ParquetError> {
        // A wrong length in a damaged footer must not be allocated.
        if offset.saturating_add(length as u64) > self.len() {
            return Err(ParquetError::EOF(
                "a page is beyond the end of the file".into(),
            ));
        }
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}

impl Read for FileReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(bytes, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

/// The first and last bytes of a Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";

/// Checks both ends; the size of the file.
fn check_magic(file: &File) -> io::Result<Result<u64>> {
    let bytes = file.metadata()?.len();
    let mut first = [0; 4];
    let seen = file.read_at(&mut first, 0)?;
    if !MAGIC.starts_with(&first[..seen]) {
        return Ok(Err(Error::new(Kind::Io, "it is not a Parquet file")
            .with_hint("remove it: query engines would read it as rows")));
    }
    let mut last = [0; 4];
    if bytes > 8 {
        file.read_exact_at(&mut last, bytes - 4)?;
    }
    if last != *MAGIC {
        return Ok(Err(Error::new(
            Kind::Io,
            format!("it is truncated: {bytes} bytes without a footer"),
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
            Error::new(Kind::Io, format!("failed to read `{}`", self.url)).with_source(e)
        }))
    }
}
