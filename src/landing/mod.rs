//! Days as Parquet files: where they lie, how they are written whole or not at all, how they are read back.
//!
//! # Layout
//!
//! ```text
//! <root>/<template>/tenant=<schema>/date=YYYY-MM-DD/data.parquet      one unit, replaced whole
//! <root>/<template>/tenant=<schema>/date=YYYY-MM-DD/.data.parquet.*   being written; engines skip names with `.` and `_`
//! <root>/_dayhaul/<name>                                              small blobs: snapshots of the catalog
//! ```
//!
//! The root is a folder (`file:///…`) or a prefix of a bucket (`s3://`, `gs://`, `az://`). A folder must exist; what lies
//! below it is made. A file's footer says what it holds: see [`Footer`].
//!
//! # Publishing
//!
//! A [`Writer`] encodes a day while it arrives. [`Writer::finish`] leaves a [`Finished`] that is complete and safe, but
//! invisible; [`Finished::publish`] makes it *the* object of its unit, in one step. What is dropped before leaves
//! nothing behind.
//!
//! | | being written | published |
//! |---|---|---|
//! | folder | a hidden file beside its place, locked while its process lives | `fsync`, `rename`, `fsync` of the folders |
//! | bucket | parts of a multipart upload, sent while the day is encoded; a small day waits in memory | the upload is completed; one PUT |
//!
//! A process that is killed leaves the hidden file, removed when the unit is written again or listed; and the parts of
//! an upload, which only the bucket's own lifecycle rule can remove (`AbortIncompleteMultipartUpload`).
//!
//! # Memory usage
//!
//! A writer holds one row group in its encoded form, at most [`Options::row_group_bytes`], and in a bucket as much again
//! plus the parts in flight while a row group is sent. A reader holds one batch and one page of each column.

mod bucket;
mod cloud;
mod failure;
mod file;
mod folder;
mod footer;
mod lane;
mod listing;
mod object;
mod properties;
mod root;
mod upload;
mod writer;

pub use file::{Batches, LandedFile};
pub use footer::{Footer, Origin};
pub use listing::{Listed, Listing, Selection};
pub use object::{ObjectPath, check_columns};
pub use writer::{Finished, LandedObject, Writer};

use crate::error::{Error, Result};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use root::Root;
use upload::Upload;
use writer::Sink;

/// How much a writer may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Encoded bytes after which a row group is ended. Default 32 MiB: with four jobs, half of what a run may take.
    pub row_group_bytes: usize,
    /// Rows after which a row group is ended. Default 1,048,576.
    pub row_group_rows: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            row_group_bytes: 32 << 20,
            row_group_rows: 1 << 20,
        }
    }
}

/// A root that days are landed under, and read from.
#[derive(Debug, Clone)]
pub struct Landing {
    root: Root,
    url: String,
    options: Options,
}

impl Landing {
    /// Names a root; nothing is asked of it yet.
    ///
    /// # Errors
    /// A URL that is no root, or of a store that this build cannot speak to.
    pub fn open(url: &str, options: Options) -> Result<Landing> {
        // A variable that is not UTF-8 is none that a store's client reads.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Landing::open_with(url, options, variables)
    }

    /// The same with other variables than the process's: credentials and endpoints of object stores.
    ///
    /// # Errors
    /// As [`Landing::open`].
    pub fn open_with(
        url: &str,
        options: Options,
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

    /// The root's URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `file:///srv/lake/foodlogstats/tenant=acme/date=2024-02-29/data.parquet`.
    pub fn url_of(&self, object: &ObjectPath) -> String {
        format!("{}/{object}", self.url)
    }

    /// Whether files lie in this machine's file system.
    pub fn is_folder(&self) -> bool {
        matches!(self.root, Root::Folder(_))
    }

    /// Fails early: looks whether the root is there and takes a file.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub async fn check_writable(&self) -> Result<()> {
        match &self.root {
            Root::Folder(folder) => folder.check_writable(),
            Root::Bucket(bucket) => bucket.check_writable().await,
        }
    }

    /// Looks whether the root is there.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub async fn check_readable(&self) -> Result<()> {
        match &self.root {
            Root::Folder(folder) => folder.check(),
            Root::Bucket(bucket) => bucket.check_readable().await,
        }
    }

    /// Begins a day. `schema` is [`arrow_schema`](crate::schema) of the template's columns, and of every batch.
    ///
    /// # Errors
    /// A column that [cannot be seen](check_columns); no file can be made there.
    pub async fn create(&self, origin: Origin, schema: SchemaRef) -> Result<Writer> {
        check_columns(&schema)?;
        let object = origin.object();
        let sink = match &self.root {
            Root::Folder(folder) => Sink::Aside(folder.aside(&object.to_string())?),
            Root::Bucket(bucket) => Sink::Upload(Upload::new(bucket.clone(), object.to_string())),
        };
        let url = self.url_of(&object);
        Ok(Writer::new(sink, origin, schema, url, self.options))
    }

    /// The units that lie under the root, sorted; of a folder, what killed processes left there is removed.
    ///
    /// # Errors
    /// The root cannot be read.
    pub async fn list(&self, selection: &Selection) -> Result<Listing> {
        match &self.root {
            Root::Folder(folder) => listing::of_folder(folder, selection),
            Root::Bucket(bucket) => listing::of_bucket(bucket, selection).await,
        }
    }

    /// Opens a unit's file and reads its footer; `None` when there is none.
    ///
    /// # Errors
    /// Cut short, not written by Dayhaul, or about another unit than its path says: named by its URL.
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
    /// The folder or bucket refuses.
    pub async fn delete(&self, object: &ObjectPath) -> Result<()> {
        match &self.root {
            Root::Folder(folder) => folder.delete(&object.to_string()).await,
            Root::Bucket(bucket) => bucket.delete(&object.to_string()).await,
        }
    }

    /// Keeps a small blob under `_dayhaul/`, replaced whole. `name` is one or more segments: `snapshot/7.json`.
    ///
    /// # Errors
    /// The folder or bucket refuses.
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

    /// A blob; `None` when there is none of this name.
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
    /// The folder or bucket refuses.
    pub async fn delete_blob(&self, name: &str) -> Result<()> {
        let path = blob_path(name)?;
        match &self.root {
            Root::Folder(folder) => folder.delete(&path).await,
            Root::Bucket(bucket) => bucket.delete(&path).await,
        }
    }
}

/// A blob under `_dayhaul/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandedBlob {
    pub name: String,
    pub bytes: u64,
}

/// Where blobs lie: engines skip names that begin with `_`.
const BLOBS: &str = "_dayhaul";

fn blob_path(name: &str) -> Result<String> {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if name.split('/').all(good) {
        Ok(format!("{BLOBS}/{name}"))
    } else {
        Err(Error::usage(format!(
            "`{name}` is no name for a blob: use letters, digits, `-`, `_`, `.` and `/`"
        )))
    }
}
