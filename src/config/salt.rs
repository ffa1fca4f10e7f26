//! `[laptop]`: the salt of its masks, in a file of its own.

use crate::error::{Error, Result};
use crate::schema::Salt;
use std::path::Path;

/// Reads the salt that `laptop.salt_file` names.
///
/// # Errors
/// The file cannot be read, or holds something else; what it holds is not repeated.
pub(super) fn read_salt(path: &Path) -> Result<Salt> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Error::config(format!("cannot read the salt in `{}`", path.display()))
            .at("`laptop.salt_file`")
            .with_source(e)
    })?;
    Salt::parse(text.trim()).ok_or_else(|| {
        Error::config(format!(
            "`{}` holds no salt: 64 hexadecimal digits",
            path.display()
        ))
        .at("`laptop.salt_file`")
    })
}
