//! Uploads a file to a bucket in parts, which are sent while the next ones are encoded.

use super::bucket::{Bucket, StoreResult, with_retries};
use super::cloud::Store;
use super::request_thread::PendingRequest;
use crate::error::Result;
use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt, PutPayload};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

/// The activity that errors name.
const WRITE: &str = "write";

/// Bytes of every part but the last. Stores require at least 5 MiB, some require parts of equal size. With S3's limit of
/// 10,000 parts, a day may have 78 GiB.
const PART: usize = 8 << 20;

/// Most parts in flight.
const MAX_IN_FLIGHT: usize = 2;

/// Bytes at the end of a file that identify it: its footer names unit, run, rows and digest.
const TAIL: usize = 64 << 10;

/// Removed when it is dropped before [`Upload::publish`].
pub(super) struct Upload {
    bucket: Bucket,
    relative: String,
    /// Bytes of the incomplete part. For a small file, all of it.
    part: Vec<u8>,
    /// Complete parts that wait to be sent.
    ready: VecDeque<Bytes>,
    /// The store's id of this upload, once it has begun.
    id: Option<MultipartId>,
    in_flight: VecDeque<PendingRequest<StoreResult<PartId>>>,
    uploaded: Vec<PartId>,
    /// The end of the file.
    tail: Bytes,
    bytes: u64,
}

impl Upload {
    pub fn new(bucket: Bucket, relative: String) -> Upload {
        Upload {
            bucket,
            relative,
            part: Vec::new(),
            ready: VecDeque::new(),
            id: None,
            in_flight: VecDeque::new(),
            uploaded: Vec::new(),
            tail: Bytes::new(),
            bytes: 0,
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes in memory, including parts in flight.
    pub fn memory(&self) -> usize {
        self.part.capacity() + (self.ready.len() + self.in_flight.len()) * PART
    }

    /// Sends the complete parts; waits while too many are in flight.
    pub async fn pump(&mut self) -> Result<()> {
        while let Some(part) = self.ready.pop_front() {
            self.send(part).await?;
        }
        Ok(())
    }

    async fn send(&mut self, part: Bytes) -> Result<()> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => self.id.insert(self.begin().await?).clone(),
        };
        while self.in_flight.len() >= MAX_IN_FLIGHT {
            self.finish_part().await?;
        }
        let index = self.uploaded.len() + self.in_flight.len();
        let (store, key) = (self.bucket.store(), self.bucket.key(&self.relative));
        let sent = with_retries(move || {
            let (store, key, id) = (Arc::clone(&store), key.clone(), id.clone());
            let part = PutPayload::from(part.clone());
            async move { store.put_part(&key, &id, index, part).await }
        });
        self.in_flight.push_back(self.bucket.requests().spawn(sent));
        Ok(())
    }

    async fn begin(&self) -> Result<MultipartId> {
        let (store, key) = (self.bucket.store(), self.bucket.key(&self.relative));
        let work = move || {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { store.create_multipart(&key).await }
        };
        self.bucket.request(WRITE, &self.relative, work).await
    }

    /// Waits for the oldest part in flight.
    async fn finish_part(&mut self) -> Result<()> {
        if let Some(part) = self.in_flight.pop_front() {
            let uploaded = part.await?;
            let part = uploaded.map_err(|e| self.bucket.failed(WRITE, &self.relative, &e))?;
            self.uploaded.push(part);
        }
        Ok(())
    }

    /// Sends the rest and waits until every part is uploaded. A file smaller than a part stays in memory and becomes one PUT.
    pub async fn settle(&mut self) -> Result<()> {
        self.pump().await?;
        if self.id.is_none() {
            return Ok(());
        }
        let rest = Bytes::from(std::mem::take(&mut self.part));
        self.tail = rest.slice(rest.len().saturating_sub(TAIL)..);
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        while !self.in_flight.is_empty() {
            self.finish_part().await?;
        }
        Ok(())
    }

    /// Makes it the object in one step.
    pub async fn publish(mut self) -> Result<u64> {
        if self.id.is_none() {
            let whole = std::mem::take(&mut self.part);
            self.bucket.put(&self.relative, whole.into()).await?;
        } else {
            if let Err(e) = self.complete().await {
                self.abort().await;
                return Err(e);
            }
            self.id = None;
        }
        Ok(self.bytes)
    }

    /// When the response is lost, or a second request finds no such upload, the object itself shows whether the first request
    /// succeeded.
    async fn complete(&self) -> Result<()> {
        let Some(id) = self.id.clone() else {
            return Ok(());
        };
        let (store, key) = (self.bucket.store(), self.bucket.key(&self.relative));
        let (parts, tail, bytes) = (self.uploaded.clone(), self.tail.clone(), self.bytes);
        let work = move || {
            let (store, key) = (Arc::clone(&store), key.clone());
            let (id, parts, tail) = (id.clone(), parts.clone(), tail.clone());
            async move {
                match store.complete_multipart(&key, &id, parts).await {
                    Err(_) if is_uploaded(&*store, &key, bytes, &tail).await => Ok(()),
                    completed => completed.map(drop),
                }
            }
        };
        self.bucket.request(WRITE, &self.relative, work).await
    }

    /// Removes the uploaded parts, and waits for it.
    pub async fn abort(mut self) {
        if let Some(removal) = self.removal() {
            let _ = self.bucket.requests().spawn(removal).await;
        }
    }

    /// The work that removes an aborted upload. A part in flight may arrive after the first request and would remain, so
    /// there is a second one.
    fn removal(&mut self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let id = self.id.take()?;
        let in_flight = std::mem::take(&mut self.in_flight);
        // This clone of the bucket keeps the request thread alive until the removal is done.
        let (bucket, key) = (self.bucket.clone(), self.bucket.key(&self.relative));
        Some(async move {
            let had_parts = !in_flight.is_empty();
            for part in in_flight {
                part.cancel().await;
            }
            let store = bucket.store();
            let _ = with_retries(|| store.abort_multipart(&key, &id)).await;
            if had_parts {
                let _ = store.abort_multipart(&key, &id).await;
            }
            drop(bucket);
        })
    }
}

/// Whether the object is the uploaded file.
async fn is_uploaded(store: &dyn Store, key: &Path, bytes: u64, tail: &Bytes) -> bool {
    match store.head(key).await {
        Ok(found) if found.size == bytes => {}
        _ => return false,
    }
    let range = bytes.saturating_sub(tail.len() as u64)..bytes;
    let end = store.get_range(key, range).await;
    !tail.is_empty() && end.is_ok_and(|end| end == *tail)
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = rest.len().min(PART - self.part.len());
            self.part.extend_from_slice(&rest[..n]);
            rest = &rest[n..];
            if self.part.len() == PART {
                self.ready.push_back(std::mem::take(&mut self.part).into());
            }
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(removal) = self.removal() {
            self.bucket.requests().spawn_detached(removal);
        }
    }
}
