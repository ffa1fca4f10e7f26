//! Places where files lie, as they are named on the command line: a folder, or a URL.

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::landing::{Landing, Options};
use crate::unit::Day;
use std::path::Path;
use std::str::FromStr;

/// What `--from` of `restore` says: the first day, or a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    Day(Day),
    /// As it was written.
    Place(String),
}

impl FromStr for From {
    type Err = Error;

    /// A day is written as YYYY-MM-DD; a place has a scheme or a slash, or is a folder that is there.
    fn from_str(text: &str) -> Result<From> {
        if let Ok(day) = text.parse() {
            return Ok(From::Day(day));
        }
        if text.contains("://") || text.contains('/') || text == "." || Path::new(text).is_dir() {
            return Ok(From::Place(text.to_owned()));
        }
        Err(Error::usage(format!(
            "`{text}` is neither a day (YYYY-MM-DD) nor a folder or URL to restore from"
        )))
    }
}

/// The place that the configuration names, if it does.
///
/// # Errors
/// As [`open`].
pub fn configured(settings: &Settings) -> Result<Option<Landing>> {
    settings.landing.url.as_deref().map(open).transpose()
}

/// Opens a place: a URL as it is, a folder by its absolute path.
///
/// # Errors
/// What is no URL of a known kind, and no folder.
pub fn open(text: &str) -> Result<Landing> {
    Landing::open(&url(text)?, Options::default())
}

fn url(text: &str) -> Result<String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let path = std::fs::canonicalize(text)
        .map_err(|e| Error::usage(format!("the folder `{text}` cannot be read")).with_source(e))?;
    match url::Url::from_directory_path(&path) {
        Ok(url) => Ok(url.to_string()),
        Err(()) => Err(Error::usage(format!("`{text}` names no folder"))),
    }
}

/// A place and the name of a snapshot in it: `file:///lake/_dayhaul/snapshot-….json`.
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
    fn a_day_is_no_place_and_a_place_no_day() {
        let day = "2024-01-02".parse().unwrap();
        assert_eq!("2024-01-02".parse::<From>().unwrap(), From::Day(day));
        for place in [
            "file:///lake",
            "s3://bucket/lake",
            "./2024-01-02",
            "/lake",
            ".",
        ] {
            assert_eq!(
                place.parse::<From>().unwrap(),
                From::Place(place.to_owned())
            );
        }
        for wrong in ["2024-02-30", "yesterday", ""] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }
}
