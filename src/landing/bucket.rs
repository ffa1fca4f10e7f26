//! A root that is a prefix of a bucket.

use super::cloud::{Cloud, Store, is_transport};
use super::failure::{About, code, io_error, is_bucket_missing, store_error};
use super::folder::unlikely;
use super::lane::Lane;
use crate::error::{Error, Result};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

/// How often a request is tried again while days are written and read: with pauses that double from 0.2 s to 10 s, some
/// 40 s of a store that fails.
const RETRIES: usize = 8;

/// How often when it is only asked whether the bucket is there.
const PROBE_RETRIES: usize = 1;

/// How often a whole request is made when its answer is lost on the way: the client itself tries again only what failed
/// before the answer began.
const ATTEMPTS: u32 = 3;

const PAUSE: Duration = Duration::from_millis(500);

pub(super) type Answer<T> = object_store::Result<T>;

#[derive(Clone)]
pub(super) struct Bucket {
    pub cloud: Cloud,
    /// The root, as the user wrote it.
    url: String,
    prefix: Path,
    store: Arc<dyn Store>,
    probe: Arc<dyn Store>,
    lane: Arc<Lane>,
}

impl fmt::Debug for Bucket {
    /// Without the clients, which hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.url).finish()
    }
}

impl Bucket {
    pub fn open(
        cloud: Cloud,
        url: &str,
        bucket: &str,
        prefix: Path,
        variables: &[(String, String)],
    ) -> Result<Bucket> {
        Ok(Bucket {
            cloud,
            url: url.trim_end_matches('/').to_owned(),
            prefix,
            store: cloud.client(bucket, variables, RETRIES)?,
            probe: cloud.client(bucket, variables, PROBE_RETRIES)?,
            lane: Arc::new(Lane::start()?),
        })
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// The key of what lies at `relative` below the root.
    pub fn key(&self, relative: &str) -> Path {
        Path::from_iter(
            self.prefix.parts().chain(
                relative
                    .split('/')
                    .filter(|p| !p.is_empty())
                    .map(Into::into),
            ),
        )
    }

    fn url_of(&self, relative: &str) -> String {
        format!("{}/{relative}", self.url)
    }

    /// Makes a request on the lane, again when its answer is lost; `doing` it to `relative` is what an error says.
    pub async fn ask<T, F>(
        &self,
        doing: &str,
        relative: &str,
        work: impl FnMut() -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Answer<T>> + Send + 'static,
    {
        let answer = self.lane.start_on(persist(work)).await?;
        answer.map_err(|e| self.failed(doing, relative, &e))
    }

    /// Makes a request about the root, to hear soon what is wrong with it.
    async fn ask_once<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl Future<Output = Answer<T>> + Send + 'static,
    ) -> Result<T> {
        let answer = self.lane.start_on(work).await?;
        answer.map_err(|e| store_error(self.cloud, About::Root, doing, &self.url, &e))
    }

    pub fn failed(&self, doing: &str, relative: &str, cause: &object_store::Error) -> Error {
        store_error(
            self.cloud,
            About::Object,
            doing,
            &self.url_of(relative),
            cause,
        )
    }

    /// # Errors
    /// No such bucket, wrong credentials, an endpoint that cannot be reached.
    pub async fn check_readable(&self) -> Result<()> {
        let (probe, prefix) = (Arc::clone(&self.probe), self.prefix.clone());
        let work = async move { probe.list(Some(&prefix)).next().await.transpose() };
        self.ask_once("listing", work).await.map(drop)
    }

    /// # Errors
    /// As [`Bucket::check_readable`], or these credentials may not write.
    pub async fn check_writable(&self) -> Result<()> {
        let relative = format!("{}/.probe", super::BLOBS);
        let (probe, key) = (Arc::clone(&self.probe), self.key(&relative));
        let work = async move {
            probe.put(&key, Bytes::new().into()).await?;
            match probe.delete(&key).await {
                // Who may only add is fine: nothing is deleted on the way of a day.
                Err(object_store::Error::PermissionDenied { .. }) => Ok(()),
                deleted => deleted,
            }
        };
        self.ask_once("writing into", work).await
    }

    /// Everything below `relative`, by its path below the root.
    pub async fn list(&self, relative: &str) -> Result<Vec<(String, u64)>> {
        let (store, prefix) = (self.store(), self.key(relative));
        let work = move || store.list(Some(&prefix)).try_collect::<Vec<_>>();
        let answer = self.lane.start_on(persist(work)).await?;
        let found: Vec<ObjectMeta> = answer.map_err(|e| {
            let url = self.url_of(relative);
            store_error(self.cloud, About::Root, "listing", &url, &e)
        })?;
        Ok(found
            .into_iter()
            .filter_map(|meta| {
                let below: Vec<String> = meta
                    .location
                    .prefix_match(&self.prefix)?
                    .map(|part| part.as_ref().to_owned())
                    .collect();
                Some((below.join("/"), meta.size))
            })
            .collect())
    }

    pub async fn get(&self, relative: &str) -> Result<Option<Bytes>> {
        let (store, key) = (self.store(), self.key(relative));
        let work = move || {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move {
                match store.get(&key).await {
                    Ok(found) => found.bytes().await.map(Some),
                    Err(e) if is_missing(&e) => Ok(None),
                    Err(e) => Err(e),
                }
            }
        };
        self.ask("reading", relative, work).await
    }

    pub async fn put(&self, relative: &str, bytes: Bytes) -> Result<()> {
        let (store, key) = (self.store(), self.key(relative));
        let work = move || {
            let (store, key, bytes) = (Arc::clone(&store), key.clone(), bytes.clone());
            async move { store.put(&key, bytes.into()).await }
        };
        self.ask("writing", relative, work).await.map(drop)
    }

    pub async fn delete(&self, relative: &str) -> Result<()> {
        let (store, key) = (self.store(), self.key(relative));
        let work = move || {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move {
                match store.delete(&key).await {
                    Err(e) if is_missing(&e) => Ok(()),
                    deleted => deleted,
                }
            }
        };
        self.ask("removing", relative, work).await
    }

    /// Copies an object into a file that has no name and so is gone with the process; `None` when there is no object.
    pub async fn spool(&self, relative: &str) -> Result<Option<File>> {
        let (store, key) = (self.store(), self.key(relative));
        let work = move || {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move {
                match store.get(&key).await {
                    Err(e) if is_missing(&e) => Ok(Ok(None)),
                    Err(e) => Err(e),
                    Ok(found) => copy(found.into_stream()).await,
                }
            }
        };
        self.ask("reading", relative, work)
            .await?
            .map_err(|e| io_error("copying into", &temporary_folder(), e))
    }
}

/// Does what may be done twice until it is answered.
pub(super) async fn persist<T, F: Future<Output = Answer<T>>>(
    mut work: impl FnMut() -> F,
) -> Answer<T> {
    let mut attempt = 1;
    loop {
        match work().await {
            Err(e) if attempt < ATTEMPTS && is_transport(&e) => {
                tokio::time::sleep(PAUSE * attempt).await;
                attempt += 1;
            }
            answer => return answer,
        }
    }
}

/// Whether an object is not there: a bucket that is not there is another matter.
fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
        && code(error).is_none_or(|c| !is_bucket_missing(&c))
}

fn temporary_folder() -> String {
    std::env::temp_dir().display().to_string()
}

/// Both who may fail, the store and the disk, by name.
async fn copy(mut chunks: BoxStream<'static, Answer<Bytes>>) -> Answer<io::Result<Option<File>>> {
    let mut file = match unnamed_file() {
        Ok(file) => file,
        Err(e) => return Ok(Err(e)),
    };
    while let Some(chunk) = chunks.try_next().await? {
        if let Err(e) = file.write_all(&chunk) {
            return Ok(Err(e));
        }
    }
    Ok(file.rewind().map(|()| Some(file)))
}

fn unnamed_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("dayhaul-{}", unlikely()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
