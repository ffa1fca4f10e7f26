//! `[laptop]`: the file that holds the salt of the masks.

use crate::error::{Error, Result};
use crate::schema::Salt;
use std::path::Path;

/// Reads the salt that `laptop.salt_file` names.
///
/// # Errors
/// The file cannot be read, or does not contain a salt. Its content is never quoted.
pub(super) fn read_salt(path: &Path) -> Result<Salt> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Error::config(format!("failed to read the salt in `{}`", path.display()))
            .at("`laptop.salt_file`")
            .with_source(e)
    })?;
    Salt::parse(text.trim()).ok_or_else(|| {
        Error::config(format!(
            "`{}` does not contain a salt of 64 hexadecimal digits",
            path.display()
        ))
        .at("`laptop.salt_file`")
    })
}
