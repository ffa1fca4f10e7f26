//! Small files under `_dayhaul/`, such as snapshots of the catalog.

use crate::error::{Error, Result};

/// A blob under `_dayhaul/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandedBlob {
    pub name: String,
    pub bytes: u64,
}

/// The folder of all blobs. Query engines skip names that begin with `_`.
pub(super) const BLOBS: &str = "_dayhaul";

/// The path of a blob below the root.
pub(super) fn blob_path(name: &str) -> Result<String> {
    let valid = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if name.split('/').all(valid) {
        Ok(format!("{BLOBS}/{name}"))
    } else {
        Err(Error::usage(format!(
            "`{name}` is not a valid blob name: use letters, digits, `-`, `_`, `.` and `/`"
        )))
    }
}
