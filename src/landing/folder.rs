//! A root that is a folder: files are written under a temporary name, made durable, and renamed.

use super::failure::{io_error, root_error};
use crate::error::{Error, Result};
use bytes::Bytes;
use rustix::io::Errno;
use std::collections::hash_map::RandomState;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::BuildHasher;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Once;

/// The root folder.
#[derive(Debug, Clone)]
pub(super) struct LandingFolder {
    root: PathBuf,
}

impl LandingFolder {
    pub fn new(root: PathBuf) -> LandingFolder {
        LandingFolder { root }
    }

    pub fn path_of(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Dayhaul never creates the root folder: with a misspelled path, or a disk that is not mounted, an empty new folder would
    /// look like a lost warehouse.
    ///
    /// # Errors
    /// It does not exist, or is not a folder.
    pub fn check(&self) -> Result<()> {
        let shown = self.root.display();
        match std::fs::metadata(&self.root) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(Error::config(format!(
                "`landing.url` names `{shown}`, which is not a folder"
            ))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::config(format!(
                "the landing folder `{shown}` does not exist"
            ))
            .with_hint(format!("create it: mkdir -p '{shown}'"))),
            Err(e) => Err(root_error("read", &shown.to_string(), e)),
        }
    }

    /// # Errors
    /// As [`LandingFolder::check`], or no file can be created there.
    pub fn check_writable(&self) -> Result<()> {
        self.check()?;
        let probe = self.root.join(format!(".dayhaul.{}", unique_suffix()));
        let written = File::create(&probe).and_then(|_| std::fs::remove_file(&probe));
        written.map_err(|e| root_error("write to", &self.root.display().to_string(), e))
    }

    /// Creates a temporary file in the folder of `relative`, and that folder. Files that killed processes left there are
    /// removed.
    pub fn temp_file(&self, relative: &str) -> Result<TempFile> {
        let target = self.path_of(relative);
        let create = || {
            let unsynced = self.create_parents(&target)?;
            remove_abandoned(&target);
            TempFile::create(&self.root, target.clone(), unsynced)
        };
        let created = match create() {
            // Meanwhile, another writer that was aborted removed the empty folders.
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.root.is_dir() => create(),
            created => created,
        };
        created.map_err(|e| io_error("write", &target.display().to_string(), e))
    }

    /// Opens a file for reading; `None` when it does not exist.
    pub fn open(&self, relative: &str) -> Result<Option<File>> {
        let path = self.path_of(relative);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.check().map(|()| None),
            Err(e) => Err(io_error("read", &path.display().to_string(), e)),
        }
    }

    pub fn get(&self, relative: &str) -> Result<Option<Bytes>> {
        let Some(mut file) = self.open(relative)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|e| io_error("read", &self.path_of(relative).display().to_string(), e))?;
        Ok(Some(bytes.into()))
    }

    pub async fn put(&self, relative: &str, bytes: &[u8]) -> Result<()> {
        let mut temp_file = self.temp_file(relative)?;
        temp_file
            .write_all(bytes)
            .map_err(|e| temp_file.failed(e))?;
        temp_file.sync().await?;
        temp_file.publish().await.map(drop)
    }

    /// Removes a file, and the folders that are empty then.
    pub async fn delete(&self, relative: &str) -> Result<()> {
        let path = self.path_of(relative);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(io_error("remove", &path.display().to_string(), e)),
        }
        remove_empty(&self.root, &path);
        Ok(())
    }

    /// Creates the missing folders above `target`. Returns the folders with new entries, which must be synced.
    fn create_parents(&self, target: &Path) -> io::Result<Vec<PathBuf>> {
        let mut missing = Vec::new();
        let mut folder = target.parent();
        while let Some(path) = folder.filter(|p| *p != self.root && !p.is_dir()) {
            missing.push(path.to_owned());
            folder = path.parent();
        }
        for path in missing.iter().rev() {
            match std::fs::create_dir(path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
                created => created?,
            }
        }
        Ok(missing
            .iter()
            .filter_map(|p| p.parent().map(Path::to_owned))
            .collect())
    }
}

/// A file that is removed when it is dropped before [`TempFile::publish`].
#[derive(Debug)]
pub(super) struct TempFile {
    file: File,
    path: PathBuf,
    target: PathBuf,
    root: PathBuf,
    /// Folders with new entries, synced with the file.
    unsynced: Vec<PathBuf>,
    bytes: u64,
    published: bool,
}

impl TempFile {
    fn create(root: &Path, target: PathBuf, unsynced: Vec<PathBuf>) -> io::Result<TempFile> {
        loop {
            let path = target.with_file_name(format!("{}{}", prefix(&target), unique_suffix()));
            let file = OpenOptions::new()
                .write(true)
                .read(true)
                .create_new(true)
                .open(&path)?;
            // Before it is locked, another process may lock and remove this file as abandoned. Where files cannot be locked,
            // no process removes any.
            let is_lost = matches!(try_lock(&file), Ok(false));
            if !is_lost && path.exists() {
                return Ok(TempFile {
                    file,
                    path,
                    target,
                    root: root.to_owned(),
                    unsynced,
                    bytes: 0,
                    published: false,
                });
            }
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits until the bytes are on disk.
    pub async fn sync(&self) -> Result<()> {
        let file = self.file.try_clone().map_err(|e| self.failed(e))?;
        blocking(move || file.sync_all())
            .await
            .map_err(|e| self.failed(e))
    }

    /// Renames the file to its target, replaces an existing one, and syncs the folders.
    pub async fn publish(mut self) -> Result<u64> {
        std::fs::rename(&self.path, &self.target).map_err(|e| self.failed(e))?;
        self.published = true;
        let mut folders = std::mem::take(&mut self.unsynced);
        folders.extend(self.target.parent().map(Path::to_owned));
        blocking(move || folders.iter().try_for_each(|folder| sync_folder(folder)))
            .await
            .map_err(|e| self.failed(e))?;
        Ok(self.bytes)
    }

    fn failed(&self, cause: io::Error) -> Error {
        io_error("write", &self.target.display().to_string(), cause)
    }
}

impl Write for TempFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.published {
            let _ = std::fs::remove_file(&self.path);
            remove_empty(&self.root, &self.target);
        }
    }
}

/// Makes a folder's entries durable, where its file system can.
fn sync_folder(folder: &Path) -> io::Result<()> {
    static WARNED: Once = Once::new();
    match File::open(folder)?.sync_all() {
        Err(e) if is_unsupported(&e) => {
            WARNED.call_once(|| {
                let folder = folder.display();
                tracing::warn!(
                    "the file system of `{folder}` cannot sync folders ({e}): after a power failure, files that were \
                     just published may be missing; `dayhaul verify --against parquet` finds them"
                );
            });
            Ok(())
        }
        synced => synced,
    }
}

/// Whether the file system has no such operation; any other error means that it failed.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS)
    )
}

/// Removes the empty folders between the root and `target`. `remove_dir` fails for others.
fn remove_empty(root: &Path, target: &Path) {
    for folder in target.ancestors().skip(1).take_while(|f| *f != root) {
        if std::fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Removes temporary files of `target` that killed processes left behind: those that are not locked.
pub(super) fn remove_abandoned(target: &Path) {
    let prefix = prefix(target);
    let Some(entries) = target.parent().and_then(|p| std::fs::read_dir(p).ok()) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            remove_if_abandoned(&entry.path());
        }
    }
}

/// Removes a temporary file that no process has locked; whether it did.
pub(super) fn remove_if_abandoned(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    matches!(try_lock(&file), Ok(true)) && std::fs::remove_file(path).is_ok()
}

/// Whether this is a name that [`LandingFolder::temp_file`] creates.
pub(super) fn is_temp_file(name: &str) -> bool {
    let random = name.rsplit('-').next().unwrap_or_default();
    name.starts_with('.') && random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `.data.parquet.`
fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.")
}

/// A suffix that no other process or thread chooses: process id and a random number.
pub(super) fn unique_suffix() -> String {
    format!(
        "{}-{:016x}",
        std::process::id(),
        RandomState::new().hash_one(0)
    )
}

/// Locks the file until it is closed; false when another process has the lock.
///
/// # Errors
/// The file system does not support locks.
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Waits for the disk on a thread that serves no connections.
async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(io::Error::other(e)))
}

#[cfg(test)]
mod tests {
    use super::{Errno, is_unsupported};

    #[test]
    fn only_a_missing_operation_is_forgiven() {
        for missing in [Errno::INVAL, Errno::NOTSUP, Errno::NOSYS] {
            assert!(is_unsupported(&missing.into()), "{missing}");
        }
        for failed in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS] {
            assert!(!is_unsupported(&failed.into()), "{failed}");
        }
    }
}
