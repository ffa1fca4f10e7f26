//! The units stored under a root.

use super::blob::{BLOBS, LandedBlob};
use super::bucket::Bucket;
use super::failure::io_error;
use super::folder::{LandingFolder, is_temp_file, remove_if_abandoned};
use super::object::ObjectPath;
use crate::error::{Error, Result};
use crate::unit::{SchemaName, TemplateName, Window};
use std::io;
use std::path::Path;

/// Which units to list; `None` matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListingFilter {
    pub template: Option<TemplateName>,
    pub schema: Option<SchemaName>,
    pub days: Option<Window>,
}

impl ListingFilter {
    fn matches(&self, object: &ObjectPath) -> bool {
        self.template.as_ref().is_none_or(|t| *t == object.template)
            && self.schema.as_ref().is_none_or(|s| *s == object.schema)
            && self.days.is_none_or(|d| d.contains(object.day))
    }

    /// The deepest folder that contains all matches, relative to the root.
    fn folder(&self) -> String {
        match (&self.template, &self.schema) {
            (Some(template), Some(schema)) => format!("{template}/tenant={schema}"),
            (Some(template), None) => template.to_string(),
            _ => String::new(),
        }
    }
}

/// A unit's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub object: ObjectPath,
    pub bytes: u64,
}

/// The files under a root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// By template, schema and day.
    pub units: Vec<Listed>,
    /// Other files, by their path below the root. Query engines would read them as rows, unlike hidden files (`.x`,
    /// `_SUCCESS`, `_delta_log/…`), which are not listed.
    pub foreign: Vec<String>,
}

impl Listing {
    fn add(&mut self, filter: &ListingFilter, path: &str, bytes: u64) {
        if is_hidden(path) {
            return;
        }
        match ObjectPath::parse(path) {
            Some(object) if filter.matches(&object) => self.units.push(Listed { object, bytes }),
            Some(_) => {}
            None => self.foreign.push(path.to_owned()),
        }
    }

    fn sorted(mut self) -> Listing {
        self.units.sort_by(|a, b| a.object.cmp(&b.object));
        self.foreign.sort();
        self
    }
}

/// Whether query engines skip a path: a part of it begins with `.` or `_`.
fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with(['.', '_']))
}

pub(super) fn of_folder(folder: &LandingFolder, filter: &ListingFilter) -> Result<Listing> {
    folder.check()?;
    let mut listing = Listing::default();
    walk(folder, &filter.folder(), &mut |path, entry| {
        if is_temp_file(name_of(path)) {
            remove_if_abandoned(&folder.path_of(path));
            return Ok(());
        }
        listing.add(filter, path, entry.metadata()?.len());
        Ok(())
    })?;
    Ok(listing.sorted())
}

pub(super) async fn of_bucket(bucket: &Bucket, filter: &ListingFilter) -> Result<Listing> {
    let mut listing = Listing::default();
    for (path, bytes) in bucket.list(&filter.folder()).await? {
        listing.add(filter, &path, bytes);
    }
    Ok(listing.sorted())
}

pub(super) fn blobs_of_folder(folder: &LandingFolder, prefix: &str) -> Result<Vec<LandedBlob>> {
    folder.check()?;
    let mut found = Vec::new();
    walk(folder, BLOBS, &mut |path, entry| {
        if is_temp_file(name_of(path)) {
            remove_if_abandoned(&folder.path_of(path));
            return Ok(());
        }
        found.push((path.to_owned(), entry.metadata()?.len()));
        Ok(())
    })?;
    Ok(blobs(found, prefix))
}

pub(super) async fn blobs_of_bucket(bucket: &Bucket, prefix: &str) -> Result<Vec<LandedBlob>> {
    Ok(blobs(bucket.list(BLOBS).await?, prefix))
}

/// The files under [`BLOBS`] whose name begins with `prefix`.
fn blobs(found: Vec<(String, u64)>, prefix: &str) -> Vec<LandedBlob> {
    let mut blobs: Vec<LandedBlob> = found
        .into_iter()
        .filter_map(|(path, bytes)| {
            let name = path.strip_prefix(BLOBS)?.strip_prefix('/')?;
            let wanted = name.starts_with(prefix) && !is_hidden(name);
            wanted.then(|| LandedBlob {
                name: name.to_owned(),
                bytes,
            })
        })
        .collect();
    blobs.sort_by(|a, b| a.name.cmp(&b.name));
    blobs
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

type Each<'a> = dyn FnMut(&str, &std::fs::DirEntry) -> io::Result<()> + 'a;

/// Calls `each` with every file below a folder, by its path below the root. Files removed meanwhile are skipped.
fn walk(folder: &LandingFolder, relative: &str, each: &mut Each<'_>) -> Result<()> {
    let path = folder.path_of(relative);
    match visit(&path, relative, each) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failed(&path, e)),
        Ok(()) => Ok(()),
    }
}

fn visit(path: &Path, relative: &str, each: &mut Each<'_>) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let below = if relative.is_empty() {
            name.into_owned()
        } else {
            format!("{relative}/{name}")
        };
        let visited = if entry.file_type()?.is_dir() {
            visit(&entry.path(), &below, each)
        } else {
            each(&below, &entry)
        };
        match visited {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            visited => visited?,
        }
    }
    Ok(())
}

fn failed(path: &Path, cause: io::Error) -> Error {
    io_error("list", &path.display().to_string(), cause)
}
