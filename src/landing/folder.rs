//! A root that is a folder: files written aside, made durable, and renamed into place.

use super::failure::{io_error, root_error};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::collections::hash_map::RandomState;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::BuildHasher;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A folder that exists.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub fn new(root: PathBuf) -> Folder {
        Folder { root }
    }

    pub fn path_of(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The folder itself is the user's to make: a misspelt path, or a disk that is not mounted, must not become a new
    /// folder that looks like a lost warehouse.
    ///
    /// # Errors
    /// It is missing, or no folder.
    pub fn check(&self) -> Result<()> {
        let shown = self.root.display();
        match std::fs::metadata(&self.root) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(Error::config(format!(
                "`landing.url` names `{shown}`, which is no folder"
            ))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::config(format!(
                "the landing folder `{shown}` does not exist"
            ))
            .with_hint(format!("make it: mkdir -p '{shown}'"))),
            Err(e) => Err(root_error("looking at", &shown.to_string(), e)),
        }
    }

    /// # Errors
    /// As [`Folder::check`], and when no file can be made there.
    pub fn check_writable(&self) -> Result<()> {
        self.check()?;
        let probe = self.root.join(format!(".dayhaul.{}", unlikely()));
        let made = File::create(&probe).and_then(|_| std::fs::remove_file(&probe));
        made.map_err(|e| root_error("writing into", &self.root.display().to_string(), e))
    }

    /// A new file beside `relative`'s place. Folders below the root are made; what a killed process left there is removed.
    pub fn aside(&self, relative: &str) -> Result<Aside> {
        let target = self.path_of(relative);
        let make = || {
            let unsynced = self.make_parents(&target)?;
            sweep(&target);
            Aside::create(&self.root, target.clone(), unsynced)
        };
        let made = match make() {
            // Another writer that gave up took the empty folders away in between.
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.root.is_dir() => make(),
            made => made,
        };
        made.map_err(|e| io_error("writing", &target.display().to_string(), e))
    }

    /// Opens a file for reading; `None` when there is none.
    pub fn open(&self, relative: &str) -> Result<Option<File>> {
        let path = self.path_of(relative);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.check().map(|()| None),
            Err(e) => Err(io_error("reading", &path.display().to_string(), e)),
        }
    }

    pub fn get(&self, relative: &str) -> Result<Option<Bytes>> {
        let Some(mut file) = self.open(relative)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|e| io_error("reading", &self.path_of(relative).display().to_string(), e))?;
        Ok(Some(bytes.into()))
    }

    pub async fn put(&self, relative: &str, bytes: &[u8]) -> Result<()> {
        let mut aside = self.aside(relative)?;
        aside.write_all(bytes).map_err(|e| aside.failed(e))?;
        aside.sync().await?;
        aside.publish().await.map(drop)
    }

    /// Removes a file, and the folders it leaves empty.
    pub async fn delete(&self, relative: &str) -> Result<()> {
        let path = self.path_of(relative);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(io_error("removing", &path.display().to_string(), e)),
        }
        remove_empty(&self.root, &path);
        Ok(())
    }

    /// Gives the folders whose entries changed: the parents of new folders.
    fn make_parents(&self, target: &Path) -> io::Result<Vec<PathBuf>> {
        let mut missing = Vec::new();
        let mut folder = target.parent();
        while let Some(path) = folder.filter(|p| *p != self.root && !p.is_dir()) {
            missing.push(path.to_owned());
            folder = path.parent();
        }
        for path in missing.iter().rev() {
            match std::fs::create_dir(path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
                made => made?,
            }
        }
        Ok(missing
            .iter()
            .filter_map(|p| p.parent().map(Path::to_owned))
            .collect())
    }
}

/// A file on its way to its place, gone when it is dropped before [`Aside::publish`].
#[derive(Debug)]
pub(super) struct Aside {
    file: File,
    path: PathBuf,
    target: PathBuf,
    root: PathBuf,
    /// Folders with new entries, to be made durable with the file.
    unsynced: Vec<PathBuf>,
    bytes: u64,
    published: bool,
}

impl Aside {
    fn create(root: &Path, target: PathBuf, unsynced: Vec<PathBuf>) -> io::Result<Aside> {
        loop {
            let path = target.with_file_name(format!("{}{}", prefix(&target), unlikely()));
            let file = OpenOptions::new()
                .write(true)
                .read(true)
                .create_new(true)
                .open(&path)?;
            // Whoever sweeps takes what is not locked, in this moment also this file. Where files cannot be locked, nobody
            // sweeps.
            let taken = matches!(try_lock(&file), Ok(false));
            if !taken && path.exists() {
                return Ok(Aside {
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

    /// Waits until the bytes are on the disk.
    pub async fn sync(&self) -> Result<()> {
        let file = self.file.try_clone().map_err(|e| self.failed(e))?;
        blocking(move || file.sync_all())
            .await
            .map_err(|e| self.failed(e))
    }

    /// Puts the file in its place, whatever stood there, and makes that durable.
    pub async fn publish(mut self) -> Result<u64> {
        std::fs::rename(&self.path, &self.target).map_err(|e| self.failed(e))?;
        self.published = true;
        let mut folders = std::mem::take(&mut self.unsynced);
        folders.extend(self.target.parent().map(Path::to_owned));
        blocking(move || {
            folders
                .iter()
                .try_for_each(|folder| File::open(folder)?.sync_all())
        })
        .await
        .map_err(|e| self.failed(e))?;
        Ok(self.bytes)
    }

    fn failed(&self, cause: io::Error) -> Error {
        io_error("writing", &self.target.display().to_string(), cause)
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.published {
            let _ = std::fs::remove_file(&self.path);
            remove_empty(&self.root, &self.target);
        }
    }
}

/// Removes the folders between the root and `target` that hold nothing. `remove_dir` spares what is not empty.
fn remove_empty(root: &Path, target: &Path) {
    for folder in target.ancestors().skip(1).take_while(|f| *f != root) {
        if std::fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Removes what killed processes left beside `target`: files that nobody holds the lock of.
pub(super) fn sweep(target: &Path) {
    let prefix = prefix(target);
    let Some(entries) = target.parent().and_then(|p| std::fs::read_dir(p).ok()) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            remove_if_left(&entry.path());
        }
    }
}

/// Whether the file was nobody's, and is gone.
pub(super) fn remove_if_left(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    matches!(try_lock(&file), Ok(true)) && std::fs::remove_file(path).is_ok()
}

/// Whether a file's name is one that [`Folder::aside`] gives.
pub(super) fn is_aside(name: &str) -> bool {
    let random = name.rsplit('-').next().unwrap_or_default();
    name.starts_with('.') && random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `.data.parquet.`
fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.")
}

/// A name that no other process or thread chooses: process id and a random number.
pub(super) fn unlikely() -> String {
    format!(
        "{}-{:016x}",
        std::process::id(),
        RandomState::new().hash_one(0)
    )
}

/// Takes the file's lock for as long as the file is open; false when another has it.
///
/// # Errors
/// The file system has no locks.
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Runs what waits for a disk beside the thread that serves connections.
async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(io::Error::other(e)))
}
