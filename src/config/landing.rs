//! `[landing]`: where days are kept as Parquet.

use crate::error::{Error, Result};

/// `[landing]`: where days are kept as Parquet, and whether every load keeps them. Credentials of object stores are not
/// configuration: they come from the environment variables that the stores' own tools read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landing {
    /// `file:///…`, `s3://…`, `gs://…` or `az://…`. Default: none.
    pub url: Option<String>,
    /// Land what `backfill`, `sync` and `refresh` load, without being told by `--land`. Default false.
    pub enabled: bool,
}

impl Landing {
    pub(super) fn take(&mut self, key: &str, text: String) -> Result<(), String> {
        match key {
            "url" => self.url = Some(text),
            "enabled" => {
                self.enabled = match text.trim() {
                    "true" | "1" | "on" | "yes" => true,
                    "false" | "0" | "off" | "no" => false,
                    _ => return Err(format!("`{text}` is neither true nor false")),
                }
            }
            other => return Err(format!("`{other}` is not read anywhere")),
        }
        Ok(())
    }

    /// # Errors
    /// Landing is switched on without a place.
    pub(super) fn check(self) -> Result<Landing> {
        if self.enabled && self.url.is_none() {
            return Err(
                Error::config("`landing.enabled` is true, and `landing.url` is not set").with_hint(
                    "write `url = \"file:///…\"` (or s3://, gs://, az://) into `[landing]`, or set DAYHAUL_LANDING_URL",
                ),
            );
        }
        Ok(self)
    }
}
