//! Which snapshot a restore uses.

use crate::catalog::snapshot::Snapshot;
use crate::cli::context::Context;
use crate::cli::landing_root;
use crate::engine::restore::{snapshots, urls};
use crate::error::{At, Error, Kind, Result};
use crate::landing::Landing;
use std::path::Path;

/// The snapshot to use: that of `--snapshot`, otherwise the newest of the first root that has one.
///
/// # Errors
/// The snapshot that is named does not exist; one cannot be read.
pub async fn choose(
    named: Option<&str>,
    places: &[Landing],
    context: &Context,
) -> Result<Option<Snapshot>> {
    let read = match named {
        Some(named) => Some(named_snapshot(named).await.at(|| "--snapshot".to_owned())?),
        None => {
            let mut newest = None;
            for place in places {
                newest = snapshots::read(place, None).await?;
                if newest.is_some() {
                    break;
                }
            }
            newest
        }
    };
    let Some((url, snapshot)) = read else {
        return Ok(None);
    };
    context.note(format!(
        "using snapshot {} of {}: {url}",
        snapshot.id, snapshot.taken_at
    ));
    Ok(Some(snapshot))
}

/// A snapshot by file or URL.
async fn named_snapshot(named: &str) -> Result<(String, Snapshot)> {
    if !named.contains("://") && Path::new(named).is_file() {
        let bytes = std::fs::read(named).map_err(|e| {
            Error::new(Kind::Io, format!("failed to read `{named}`")).with_source(e)
        })?;
        let snapshot = Snapshot::parse(&bytes).at(|| format!("`{named}`"))?;
        return Ok((named.to_owned(), snapshot));
    }
    let (place, name) = landing_root::snapshot(named)?;
    let read = snapshots::read(&place, name.as_deref()).await?;
    read.ok_or_else(|| {
        Error::refused(format!("there is no snapshot under `{}`", place.url()))
            .with_hint("write one with `dayhaul snapshot`")
    })
}

/// There is none, and the command needs one.
pub fn none(places: &[Landing]) -> Error {
    Error::refused(format!("there is no snapshot under {}", urls(places)))
        .with_hint("name one with `--snapshot FILE|URL`; `dayhaul snapshot` writes them")
}
