//! Connection strings whose values are checked, and the host that messages name.

use super::env::process_env;
use super::hosts::hosts;
use super::parse::Url;
use super::resolved::Target;
use super::values::Values;
use crate::error::Result;

impl Url {
    /// Reads `postgres://…`, `postgresql://…` or `key=value` words.
    ///
    /// # Errors
    /// An unknown key, a value that is not one of its key's, a string that does not parse. No error repeats a value.
    pub fn parse(text: &str) -> Result<Url> {
        let url = Url::read(text)?;
        // The values are checked now, without service and environment, so that a mistake is found where it was made.
        Target::of(&Values::written(&url))?;
        Ok(url)
    }

    /// `host:port` of the first host: what the limit per server counts by, and what messages name.
    pub fn endpoint(&self) -> String {
        Values::of(self, &process_env)
            .and_then(|values| hosts(&values))
            .ok()
            .and_then(|hosts| hosts.first().map(ToString::to_string))
            .unwrap_or_else(|| "localhost:5432".to_owned())
    }
}
