//! Snapshots beside the files: which there are, which is meant, how many are kept.

use crate::catalog::snapshot::Snapshot;
use crate::error::{At, Error, Kind, Result};
use crate::landing::Landing;
use bytes::Bytes;

/// How the names of snapshots begin. The time follows, so that names in order are snapshots in order.
const PREFIX: &str = "snapshot-";

/// Where snapshots lie under a root.
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

/// Keeps a snapshot beside the files. Gives its URL.
///
/// # Errors
/// The place refuses.
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

/// Removes all but the newest `keep` snapshots. Gives the URLs of what went.
///
/// # Errors
/// The place refuses.
pub async fn thin_out(place: &Landing, keep: usize) -> Result<Vec<String>> {
    let names = list(place).await?;
    let mut gone = Vec::new();
    for name in names.iter().take(names.len().saturating_sub(keep)) {
        place.delete_blob(name).await?;
        gone.push(url(place, name));
    }
    Ok(gone)
}

/// A snapshot by its name; the newest of the place for `None`. Gives its URL, too.
///
/// # Errors
/// There is none of this name; it cannot be read, or is none.
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
        .ok_or_else(|| Error::new(Kind::Io, format!("`{url}` is not there")))?;
    let snapshot = Snapshot::parse(&bytes)
        .at(|| format!("`{url}`"))
        .map_err(|e| {
            e.with_hint("name an earlier one with `--snapshot`, or add `--no-snapshot` to go by the files alone")
        })?;
    Ok(Some((url, snapshot)))
}
