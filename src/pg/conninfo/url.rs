//! Connection strings whose values are checked, and the host that messages name.

use super::parse::Url;
use super::resolved::{Target, hosts, process_env};
use crate::error::Result;

impl Url {
    /// Reads `postgres://…`, `postgresql://…` or `key=value` words.
    ///
    /// # Errors
    /// An unknown key, a value that is not one of its key's, a string that does not parse. No error repeats a value.
    pub fn parse(text: &str) -> Result<Url> {
        let url = Url::read(text)?;
        // The values are checked now, with no environment, so that a mistake is found where it was made.
        Target::resolve(&url, &|_| None)?;
        Ok(url)
    }

    /// `host:port` of the first host: what the limit per server counts by, and what messages name.
    pub fn endpoint(&self) -> String {
        hosts(self, &process_env)
            .ok()
            .and_then(|hosts| hosts.first().map(ToString::to_string))
            .unwrap_or_else(|| "localhost:5432".to_owned())
    }
}
