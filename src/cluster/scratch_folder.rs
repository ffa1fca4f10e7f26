//! A temporary folder for private servers and their files.

use crate::error::{Error, Kind, Result};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A folder that other users cannot enter. It is removed on drop unless it is kept.
#[derive(Debug)]
pub struct ScratchFolder {
    path: PathBuf,
    keep: bool,
}

impl ScratchFolder {
    /// Creates `<dir>/<name>-<process id>`.
    ///
    /// # Errors
    /// It cannot be created there.
    pub fn create(dir: &Path, name: &str) -> Result<ScratchFolder> {
        let failed = |e| {
            Error::new(
                Kind::Io,
                format!("failed to create a folder in `{}`", dir.display()),
            )
            .with_source(e)
        };
        let dir = fs::canonicalize(dir).map_err(failed)?;
        let path = dir.join(format!("{name}-{}", std::process::id()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(failed)?;
        Ok(ScratchFolder { path, keep: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the folder when this is dropped.
    pub fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
