//! Landing roots on the command line: the folder or URL below which Parquet files are stored.

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::landing::{Landing, WriterOptions};
use crate::unit::Day;
use std::path::Path;
use std::str::FromStr;

/// A value of `--from` of `restore`: the first day, or a landing root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DayOrRoot {
    Day(Day),
    /// As it was typed.
    Root(String),
}

impl FromStr for DayOrRoot {
    type Err = Error;

    /// A day is YYYY-MM-DD; a root has a scheme or a slash, or is an existing folder.
    fn from_str(text: &str) -> Result<DayOrRoot> {
        if let Ok(day) = text.parse() {
            return Ok(DayOrRoot::Day(day));
        }
        if text.contains("://") || text.contains('/') || text == "." || Path::new(text).is_dir() {
            return Ok(DayOrRoot::Root(text.to_owned()));
        }
        Err(Error::usage(format!(
            "`{text}` is neither a day (YYYY-MM-DD) nor a folder or URL to restore from"
        )))
    }
}

/// The root that is configured, if one is.
///
/// # Errors
/// As [`open`].
pub fn configured(settings: &Settings) -> Result<Option<Landing>> {
    settings.landing.url.as_deref().map(open).transpose()
}

/// Opens a root: a URL as it is, a folder by its absolute path.
///
/// # Errors
/// Neither a URL of a known kind nor a folder.
pub fn open(text: &str) -> Result<Landing> {
    Landing::open(&url(text)?, WriterOptions::default())
}

fn url(text: &str) -> Result<String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let path = std::fs::canonicalize(text)
        .map_err(|e| Error::usage(format!("failed to read folder `{text}`")).with_source(e))?;
    match url::Url::from_directory_path(&path) {
        Ok(url) => Ok(url.to_string()),
        Err(()) => Err(Error::usage(format!("`{text}` is not a folder"))),
    }
}

/// A root and the name of a snapshot in it: `file:///lake/_dayhaul/snapshot-….json`.
///
/// # Errors
/// As [`open`].
pub fn snapshot(text: &str) -> Result<(Landing, Option<String>)> {
    let inside = format!("/{}/", crate::engine::restore::snapshots::FOLDER);
    match text.rsplit_once(inside.as_str()) {
        Some((root, name)) if !name.is_empty() => Ok((open(root)?, Some(name.to_owned()))),
        _ => Ok((open(text)?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_not_a_root_and_a_root_is_not_a_day() {
        let day = "2024-01-02".parse().unwrap();
        assert_eq!(
            "2024-01-02".parse::<DayOrRoot>().unwrap(),
            DayOrRoot::Day(day)
        );
        for root in [
            "file:///lake",
            "s3://bucket/lake",
            "./2024-01-02",
            "/lake",
            ".",
        ] {
            assert_eq!(
                root.parse::<DayOrRoot>().unwrap(),
                DayOrRoot::Root(root.to_owned())
            );
        }
        for wrong in ["2024-02-30", "yesterday", ""] {
            assert!(wrong.parse::<DayOrRoot>().is_err(), "{wrong}");
        }
    }
}
