//! A root that is a prefix of a bucket.

use super::blob::BLOBS;
use super::cloud::{Cloud, Store};
use super::failure::{RequestScope, io_error, store_error};
use super::folder::unique_suffix;
use super::request_thread::RequestThread;
use super::store_response::{code, is_bucket_missing, is_transport};
use crate::error::{Error, Kind, Result};
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

/// Retries of requests that write and read days. With pauses that double from 0.2 s to 10 s, a store may fail for about
/// 40 s.
const RETRIES: usize = 8;

/// Retries of checks whether the bucket exists.
const PROBE_RETRIES: usize = 1;

/// Attempts for a request whose response is lost. The client itself retries only requests that fail before the response
/// begins.
const ATTEMPTS: u32 = 3;

const PAUSE: Duration = Duration::from_millis(500);

/// How long the root may take to answer before a command begins.
const PREFLIGHT: Duration = Duration::from_secs(20);

pub(super) type StoreResult<T> = object_store::Result<T>;

#[derive(Clone)]
pub(super) struct Bucket {
    pub cloud: Cloud,
    /// The root, as the user wrote it.
    url: String,
    prefix: Path,
    store: Arc<dyn Store>,
    probe: Arc<dyn Store>,
    requests: Arc<RequestThread>,
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
            requests: Arc::new(RequestThread::start()?),
        })
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    pub fn requests(&self) -> &RequestThread {
        &self.requests
    }

    /// The key of the object at `relative` below the root.
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

    /// Makes a request, and repeats it when its response is lost. Errors name `verb` and `relative`.
    pub async fn request<T, F>(
        &self,
        verb: &str,
        relative: &str,
        work: impl FnMut() -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = StoreResult<T>> + Send + 'static,
    {
        let answer = self.requests.spawn(with_retries(work)).await?;
        answer.map_err(|e| self.failed(verb, relative, &e))
    }

    /// Makes a request about the root without repeating it, to fail early: within [`PREFLIGHT`].
    async fn request_once<T: Send + 'static>(
        &self,
        verb: &str,
        work: impl Future<Output = StoreResult<T>> + Send + 'static,
    ) -> Result<T> {
        let answer = tokio::time::timeout(PREFLIGHT, self.requests.spawn(work)).await;
        let Ok(answer) = answer else {
            let message = format!(
                "failed to {verb} `{}`: no answer within {} s",
                self.url,
                PREFLIGHT.as_secs()
            );
            return Err(Error::new(Kind::Stalled, message)
                .with_hint("check the endpoint, and whether a firewall or proxy stands between"));
        };
        answer?.map_err(|e| store_error(self.cloud, RequestScope::Root, verb, &self.url, &e))
    }

    pub fn failed(&self, verb: &str, relative: &str, cause: &object_store::Error) -> Error {
        store_error(
            self.cloud,
            RequestScope::Object,
            verb,
            &self.url_of(relative),
            cause,
        )
    }

    /// # Errors
    /// The bucket does not exist, the credentials are wrong, or the endpoint cannot be reached.
    pub async fn check_readable(&self) -> Result<()> {
        let (probe, prefix) = (Arc::clone(&self.probe), self.prefix.clone());
        let work = async move { probe.list(Some(&prefix)).next().await.transpose() };
        self.request_once("list", work).await.map(drop)
    }

    /// # Errors
    /// As [`Bucket::check_readable`], or the credentials do not allow writing.
    pub async fn check_writable(&self) -> Result<()> {
        let relative = format!("{}/.probe", BLOBS);
        let (probe, key) = (Arc::clone(&self.probe), self.key(&relative));
        let work = async move {
            probe.put(&key, Bytes::new().into()).await?;
            match probe.delete(&key).await {
                // Loading a day deletes nothing, so credentials without that right are enough.
                Err(object_store::Error::PermissionDenied { .. }) => Ok(()),
                deleted => deleted,
            }
        };
        self.request_once("write to", work).await
    }

    /// Everything below `relative`, by its path below the root.
    pub async fn list(&self, relative: &str) -> Result<Vec<(String, u64)>> {
        let (store, prefix) = (self.store(), self.key(relative));
        let work = move || store.list(Some(&prefix)).try_collect::<Vec<_>>();
        let answer = self.requests.spawn(with_retries(work)).await?;
        let found: Vec<ObjectMeta> = answer.map_err(|e| {
            let url = self.url_of(relative);
            store_error(self.cloud, RequestScope::Root, "list", &url, &e)
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
        self.request("read", relative, work).await
    }

    pub async fn put(&self, relative: &str, bytes: Bytes) -> Result<()> {
        let (store, key) = (self.store(), self.key(relative));
        let work = move || {
            let (store, key, bytes) = (Arc::clone(&store), key.clone(), bytes.clone());
            async move { store.put(&key, bytes.into()).await }
        };
        self.request("write", relative, work).await.map(drop)
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
        self.request("remove", relative, work).await
    }

    /// Copies an object into a file without a name, which disappears with the process; `None` when the object does not exist.
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
        self.request("read", relative, work)
            .await?
            .map_err(|e| io_error("copy to", &temporary_folder(), e))
    }
}

/// Repeats an idempotent request until a response arrives.
pub(super) async fn with_retries<T, F: Future<Output = StoreResult<T>>>(
    mut work: impl FnMut() -> F,
) -> StoreResult<T> {
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

/// Whether an object does not exist. A missing bucket is another error.
fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
        && code(error).is_none_or(|c| !is_bucket_missing(&c))
}

fn temporary_folder() -> String {
    std::env::temp_dir().display().to_string()
}

/// The outer error is the store's, the inner one the disk's.
async fn copy(
    mut chunks: BoxStream<'static, StoreResult<Bytes>>,
) -> StoreResult<io::Result<Option<File>>> {
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
    let path = std::env::temp_dir().join(format!("dayhaul-{}", unique_suffix()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
