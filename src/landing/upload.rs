//! A file on its way into a bucket: parts that are sent while the next ones are being encoded.

use super::bucket::{Answer, Bucket, persist};
use super::cloud::Store;
use super::lane::OnLane;
use crate::error::Result;
use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt, PutPayload};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

/// What an error says was being done.
const WRITING: &str = "writing";

/// Bytes of every part but the last. Stores ask for 5 MiB or more, some for parts of one size; with the 10,000 parts
/// that S3 takes, a day may have 78 GiB.
const PART: usize = 8 << 20;

/// Parts in flight; more are waited for.
const FLYING: usize = 2;

/// Bytes at the end of a file that tell it from every other: its footer names unit, run, rows and digest.
const TAIL: usize = 64 << 10;

/// Gone when it is dropped before [`Upload::publish`].
pub(super) struct Upload {
    bucket: Bucket,
    relative: String,
    /// Bytes that make no whole part yet. All of the file, when it is small.
    part: Vec<u8>,
    /// Whole parts that wait to be sent.
    ready: VecDeque<Bytes>,
    /// The store's name for this upload, once there is one.
    id: Option<MultipartId>,
    flying: VecDeque<OnLane<Answer<PartId>>>,
    landed: Vec<PartId>,
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
            flying: VecDeque::new(),
            landed: Vec::new(),
            tail: Bytes::new(),
            bytes: 0,
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes held here, parts in flight included.
    pub fn memory(&self) -> usize {
        self.part.capacity() + (self.ready.len() + self.flying.len()) * PART
    }

    /// Sends the parts that are whole; waits while too many are in flight.
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
        while self.flying.len() >= FLYING {
            self.land().await?;
        }
        let index = self.landed.len() + self.flying.len();
        let (store, key) = (self.bucket.store(), self.bucket.key(&self.relative));
        let sent = persist(move || {
            let (store, key, id) = (Arc::clone(&store), key.clone(), id.clone());
            let part = PutPayload::from(part.clone());
            async move { store.put_part(&key, &id, index, part).await }
        });
        self.flying.push_back(self.bucket.lane().start_on(sent));
        Ok(())
    }

    async fn begin(&self) -> Result<MultipartId> {
        let (store, key) = (self.bucket.store(), self.bucket.key(&self.relative));
        let work = move || {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { store.create_multipart(&key).await }
        };
        self.bucket.ask(WRITING, &self.relative, work).await
    }

    /// Waits for the oldest part in flight.
    async fn land(&mut self) -> Result<()> {
        if let Some(part) = self.flying.pop_front() {
            let landed = part.await?;
            let part = landed.map_err(|e| self.bucket.failed(WRITING, &self.relative, &e))?;
            self.landed.push(part);
        }
        Ok(())
    }

    /// Sends the rest and waits until every part has landed. A file smaller than a part stays in memory: it will be one
    /// PUT.
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
        while !self.flying.is_empty() {
            self.land().await?;
        }
        Ok(())
    }

    /// Makes it the object, in one step.
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

    /// When the answer is lost, or a second request is told that there is no such upload, the object itself says whether
    /// the first one was heard.
    async fn complete(&self) -> Result<()> {
        let Some(id) = self.id.clone() else {
            return Ok(());
        };
        let (store, key) = (self.bucket.store(), self.bucket.key(&self.relative));
        let (parts, tail, bytes) = (self.landed.clone(), self.tail.clone(), self.bytes);
        let work = move || {
            let (store, key) = (Arc::clone(&store), key.clone());
            let (id, parts, tail) = (id.clone(), parts.clone(), tail.clone());
            async move {
                match store.complete_multipart(&key, &id, parts).await {
                    Err(_) if is_there(&*store, &key, bytes, &tail).await => Ok(()),
                    completed => completed.map(drop),
                }
            }
        };
        self.bucket.ask(WRITING, &self.relative, work).await
    }

    /// Waits until nothing is left.
    pub async fn abort(mut self) {
        if let Some(removal) = self.removal() {
            let _ = self.bucket.lane().start_on(removal).await;
        }
    }

    /// What is to be done when the upload is given up. A part that was heard just before may land after the first
    /// request, and would stay; hence the second.
    fn removal(&mut self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let id = self.id.take()?;
        let flying = std::mem::take(&mut self.flying);
        // The bucket keeps the lane open until this is done.
        let (bucket, key) = (self.bucket.clone(), self.bucket.key(&self.relative));
        Some(async move {
            let had_flying = !flying.is_empty();
            for part in flying {
                part.cancel().await;
            }
            let store = bucket.store();
            let _ = persist(|| store.abort_multipart(&key, &id)).await;
            if had_flying {
                let _ = store.abort_multipart(&key, &id).await;
            }
            drop(bucket);
        })
    }
}

/// Whether the object is the one that was uploaded.
async fn is_there(store: &dyn Store, key: &Path, bytes: u64, tail: &Bytes) -> bool {
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
            self.bucket.lane().leave_on(removal);
        }
    }
}
