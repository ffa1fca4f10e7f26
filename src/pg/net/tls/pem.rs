//! Certificates in PEM files, and the folder where libpq looks for them.

use crate::error::{Error, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use std::path::{Path, PathBuf};

/// All certificates of a file. `what` says in an error what the file is for.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let fail = |why: String| Error::config(format!("{what} file `{shown}` cannot be used: {why}"));
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| fail(pem_reason(&e)))?;
    if found.is_empty() {
        return Err(fail("it holds no certificate".into()));
    }
    Ok(found)
}

/// Why a file was not read, without what is in it.
pub fn pem_reason(e: &PemError) -> String {
    match e {
        PemError::Io(e) => e.kind().to_string(),
        PemError::NoItemsFound => "it holds none".into(),
        _ => "it is not PEM".into(),
    }
}

/// A file of `~/.postgresql`.
pub fn default_file(name: &str) -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".postgresql").join(name))
}
