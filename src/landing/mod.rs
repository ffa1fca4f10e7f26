//! Days as Parquet files: where they are stored, how they are published atomically, and how they are read back.
//!
//! # Layout
//!
//! ```text
//! <root>/<template>/tenant=<schema>/date=YYYY-MM-DD/data.parquet      one unit, replaced as a whole
//! <root>/<template>/tenant=<schema>/date=YYYY-MM-DD/.data.parquet.*   being written; engines skip names with `.` and `_`
//! <root>/_dayhaul/<name>                                              small blobs: snapshots of the catalog
//! ```
//!
//! The root is a folder (`file:///…`) or a prefix of a bucket (`s3://`, `gs://`, `az://`). A root folder must exist; folders
//! below it are created. A file's footer describes its content: see [`Footer`].
//!
//! # Publishing
//!
//! A [`Writer`] encodes a day while it arrives. [`Writer::finish`] returns a [`Finished`] that is complete and durable, but
//! invisible; [`Finished::publish`] makes it *the* object of its unit, in one step. A writer that is dropped before leaves
//! nothing behind.
//!
//! | | being written | published |
//! |---|---|---|
//! | folder | a hidden file in the target's folder, locked while its process runs | `fsync`, `rename`, `fsync` of the folders |
//! | bucket | parts of a multipart upload, sent while the day is encoded; a small day waits in memory | the upload is completed; one PUT |
//!
//! A killed process leaves the hidden file, which is removed when the unit is next written or listed, and the parts of an
//! upload, which only a lifecycle rule of the bucket can remove (`AbortIncompleteMultipartUpload`).
//!
//! # Memory usage
//!
//! A writer holds one encoded row group, at most [`WriterOptions::row_group_bytes`]. For a bucket it holds as much again, and
//! the parts in flight, while a row group is sent. A reader holds one batch and one page of each column.

#[cfg(feature = "s3")]
mod aws_profile;
mod blob;
mod bucket;
mod cloud;
mod failure;
mod file;
mod folder;
mod footer;
mod listing;
mod object;
mod properties;
mod request_thread;
mod root;
mod store_response;
mod upload;
mod writer;

pub use blob::LandedBlob;
pub use file::{Batches, LandedFile};
pub use footer::{Footer, Origin, RowsInFile};
pub use listing::{Listed, Listing, ListingFilter};
pub use object::{ObjectPath, check_columns};
pub use writer::{Finished, LandedObject, Writer, WriterOptions};

use crate::error::Result;
use arrow_schema::SchemaRef;
use blob::blob_path;
use bytes::Bytes;
use root::Root;
use upload::Upload;
use writer::Sink;

/// A root that days are written to and read from.
#[derive(Debug, Clone)]
pub struct Landing {
    root: Root,
    url: String,
    options: WriterOptions,
}

impl Landing {
    /// Parses the URL of a root, without contacting it.
    ///
    /// # Errors
    /// The URL is not that of a root, or this build does not support the store.
    pub fn open(url: &str, options: WriterOptions) -> Result<Landing> {
        // The stores' clients read only variables that are UTF-8.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Landing::open_with(url, options, variables)
    }

    /// The same with the given environment variables: credentials and endpoints of object stores.
    ///
    /// # Errors
    /// As [`Landing::open`].
    pub fn open_with(
        url: &str,
        options: WriterOptions,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Landing> {
        let variables: Vec<(String, String)> = variables.into_iter().collect();
        let root = Root::open(url, &variables)?;
        Ok(Landing {
            url: url.trim_end_matches('/').to_owned(),
            root,
            options,
        })
    }

    /// The root's URL, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `file:///srv/lake/foodlogstats/tenant=acme/date=2024-02-29/data.parquet`.
    pub fn url_of(&self, object: &ObjectPath) -> String {
        format!("{}/{object}", self.url)
    }

    /// Whether files are stored in this machine's file system.
    pub fn is_folder(&self) -> bool {
        matches!(self.root, Root::Folder(_))
    }

    /// Checks that the root exists and can be written to, to fail early.
    ///
    /// # Errors
    /// What is wrong with it, and how to fix it.
    pub async fn check_writable(&self) -> Result<()> {
        match &self.root {
            Root::Folder(folder) => folder.check_writable(),
            Root::Bucket(bucket) => bucket.check_writable().await,
        }
    }

    /// Checks that the root exists and can be read.
    ///
    /// # Errors
    /// What is wrong with it, and how to fix it.
    pub async fn check_readable(&self) -> Result<()> {
        match &self.root {
            Root::Folder(folder) => folder.check(),
            Root::Bucket(bucket) => bucket.check_readable().await,
        }
    }

    /// Begins a day. `schema` is the [`arrow_schema`](crate::schema) of the template's columns and of every batch.
    ///
    /// # Errors
    /// A column would be [hidden](check_columns), or no file can be created there.
    pub async fn create(&self, origin: Origin, schema: SchemaRef) -> Result<Writer> {
        check_columns(&schema)?;
        let object = origin.object();
        let sink = match &self.root {
            Root::Folder(folder) => Sink::TempFile(folder.temp_file(&object.to_string())?),
            Root::Bucket(bucket) => Sink::Upload(Upload::new(bucket.clone(), object.to_string())),
        };
        let url = self.url_of(&object);
        Ok(Writer::new(sink, origin, schema, url, self.options))
    }

    /// The units stored under the root, sorted. In a folder, files that killed processes left behind are removed.
    ///
    /// # Errors
    /// The root cannot be read.
    pub async fn list(&self, filter: &ListingFilter) -> Result<Listing> {
        match &self.root {
            Root::Folder(folder) => listing::of_folder(folder, filter),
            Root::Bucket(bucket) => listing::of_bucket(bucket, filter).await,
        }
    }

    /// Opens a unit's file and reads its footer; `None` when there is no file.
    ///
    /// # Errors
    /// The file is truncated, was not written by Dayhaul, or belongs to another unit than its path. The error names its URL.
    pub async fn open_file(&self, object: &ObjectPath) -> Result<Option<LandedFile>> {
        let url = self.url_of(object);
        let file = match &self.root {
            Root::Folder(folder) => folder.open(&object.to_string())?,
            Root::Bucket(bucket) => bucket.spool(&object.to_string()).await?,
        };
        file.map(|file| LandedFile::open(file, object.clone(), url))
            .transpose()
    }

    /// Removes a unit's file, if there is one.
    ///
    /// # Errors
    /// The folder or bucket rejects it.
    pub async fn delete(&self, object: &ObjectPath) -> Result<()> {
        match &self.root {
            Root::Folder(folder) => folder.delete(&object.to_string()).await,
            Root::Bucket(bucket) => bucket.delete(&object.to_string()).await,
        }
    }

    /// Writes a small file under `_dayhaul/`, and replaces it as a whole. `name` is one or more segments: `snapshot/7.json`.
    ///
    /// # Errors
    /// The folder or bucket rejects it.
    pub async fn put_blob(&self, name: &str, bytes: Bytes) -> Result<LandedBlob> {
        let path = blob_path(name)?;
        let size = bytes.len() as u64;
        match &self.root {
            Root::Folder(folder) => folder.put(&path, &bytes).await?,
            Root::Bucket(bucket) => bucket.put(&path, bytes).await?,
        }
        Ok(LandedBlob {
            name: name.to_owned(),
            bytes: size,
        })
    }

    /// A blob; `None` when it does not exist.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn get_blob(&self, name: &str) -> Result<Option<Bytes>> {
        let path = blob_path(name)?;
        match &self.root {
            Root::Folder(folder) => folder.get(&path),
            Root::Bucket(bucket) => bucket.get(&path).await,
        }
    }

    /// The blobs whose names begin with `prefix`, by name.
    ///
    /// # Errors
    /// The root cannot be read.
    pub async fn list_blobs(&self, prefix: &str) -> Result<Vec<LandedBlob>> {
        match &self.root {
            Root::Folder(folder) => listing::blobs_of_folder(folder, prefix),
            Root::Bucket(bucket) => listing::blobs_of_bucket(bucket, prefix).await,
        }
    }

    /// # Errors
    /// The folder or bucket rejects it.
    pub async fn delete_blob(&self, name: &str) -> Result<()> {
        let path = blob_path(name)?;
        match &self.root {
            Root::Folder(folder) => folder.delete(&path).await,
            Root::Bucket(bucket) => bucket.delete(&path).await,
        }
    }
}
