//! Snapshots stored next to the files: list, read, write, and delete old ones.

use crate::catalog::snapshot::Snapshot;
use crate::error::{At, Error, Kind, Result};
use crate::landing::Landing;
use bytes::Bytes;

/// The prefix of snapshot names. The time follows, so that names sort by time.
const PREFIX: &str = "snapshot-";

/// The folder of snapshots under a root.
pub const FOLDER: &str = "_dayhaul";

/// `snapshot-20240115T030000Z-3f2a91c04b7e.json`.
pub fn name(snapshot: &Snapshot) -> String {
    let at: String = snapshot
        .taken_at
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .collect();
    format!("{PREFIX}{at}-{}.json", snapshot.id)
}

fn is_name(name: &str) -> bool {
    name.starts_with(PREFIX) && name.strip_suffix(".json").is_some()
}

/// The names of a place's snapshots, the earliest first.
///
/// # Errors
/// The place cannot be read.
pub async fn list(place: &Landing) -> Result<Vec<String>> {
    let blobs = place.list_blobs(PREFIX).await?;
    let mut names: Vec<String> = blobs.into_iter().map(|b| b.name).collect();
    names.retain(|name| is_name(name));
    names.sort();
    Ok(names)
}

/// Stores a snapshot next to the files. Returns its URL.
///
/// # Errors
/// The place cannot be written.
pub async fn keep(place: &Landing, snapshot: &Snapshot) -> Result<String> {
    let name = name(snapshot);
    place
        .put_blob(&name, Bytes::from(snapshot.render()?))
        .await?;
    Ok(url(place, &name))
}

fn url(place: &Landing, name: &str) -> String {
    format!("{}/{FOLDER}/{name}", place.url())
}

/// Deletes all but the newest `keep` snapshots. Returns the deleted URLs.
///
/// # Errors
/// The place cannot be written.
pub async fn thin_out(place: &Landing, keep: usize) -> Result<Vec<String>> {
    let names = list(place).await?;
    let mut deleted = Vec::new();
    for name in names.iter().take(names.len().saturating_sub(keep)) {
        place.delete_blob(name).await?;
        deleted.push(url(place, name));
    }
    Ok(deleted)
}

/// Reads a snapshot by its name, or the place's newest. Returns its URL, too.
///
/// # Errors
/// No snapshot has this name; it cannot be read, or is not a snapshot.
pub async fn read(place: &Landing, name: Option<&str>) -> Result<Option<(String, Snapshot)>> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => match list(place).await?.pop() {
            Some(newest) => newest,
            None => return Ok(None),
        },
    };
    let url = url(place, &name);
    let bytes = place
        .get_blob(&name)
        .await?
        .ok_or_else(|| Error::new(Kind::Io, format!("`{url}` does not exist")))?;
    let snapshot = Snapshot::parse(&bytes)
        .at(|| format!("`{url}`"))
        .map_err(|e| {
            e.with_hint("choose an earlier one with `--snapshot`, or add `--no-snapshot` to rebuild the catalog from the files' footers")
        })?;
    Ok(Some((url, snapshot)))
}
