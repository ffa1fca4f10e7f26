//! A unit's file, opened and checked.

use super::failure::parquet_error;
use super::footer::Footer;
use super::object::ObjectPath;
use crate::error::{At, Error, Kind, Result};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use std::fs::File;

/// Rows of a batch, at most.
const BATCH_ROWS: usize = 8192;

/// Bytes of a batch's columns that are aimed at.
const BATCH_BYTES: u64 = 8 << 20;

/// A file whose footer says that it holds the unit that its path names. Its rows have not been looked at: whoever reads
/// them compares their count and digest with the footer's.
pub struct LandedFile {
    file: File,
    metadata: ArrowReaderMetadata,
    footer: Footer,
    object: ObjectPath,
    url: String,
    bytes: u64,
}

impl LandedFile {
    pub(super) fn open(file: File, object: ObjectPath, url: String) -> Result<LandedFile> {
        let bytes = file
            .metadata()
            .map_err(|e| super::failure::io_error("reading", &url, e))?
            .len();
        let metadata =
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|e| {
                match parquet_error("reading", &url, e) {
                    e if e.kind() == Kind::Io => e,
                    e => e,
                }
            })?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let footer = Footer::read(pairs).at(|| format!("`{url}`"))?;
        let opened = LandedFile {
            file,
            metadata,
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
        self.metadata.schema()
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
        let failed = |e| parquet_error("reading", &self.url, e);
        let file = self
            .file
            .try_clone()
            .map_err(|e| super::failure::io_error("reading", &self.url, e))?;
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_batch_size(self.batch_rows())
                .build()
                .map_err(failed)?;
        Ok(Batches {
            reader,
            url: self.url.clone(),
        })
    }

    fn batch_rows(&self) -> usize {
        let groups = self.metadata.metadata().row_groups();
        let bytes: i64 = groups.iter().map(|g| g.total_byte_size()).sum();
        let row = u64::try_from(bytes).unwrap_or(0) / self.footer.rows.max(1);
        let rows = BATCH_BYTES / row.max(1);
        usize::try_from(rows)
            .unwrap_or(BATCH_ROWS)
            .clamp(1, BATCH_ROWS)
    }
}

/// The rows of a file.
pub struct Batches {
    reader: ParquetRecordBatchReader,
    url: String,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        let batch = self.reader.next()?;
        Some(batch.map_err(|e| {
            Error::new(Kind::Io, format!("reading `{}` failed", self.url)).with_source(e)
        }))
    }
}
