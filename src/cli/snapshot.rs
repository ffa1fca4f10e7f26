//! `dayhaul snapshot`: saves the catalog as one JSON document next to the Parquet files.

use super::context::Context;
use super::landing_root;
use crate::catalog::Catalog;
use crate::catalog::snapshot::{Snapshot, take};
use crate::config::Settings;
use crate::engine::restore::snapshots;
use crate::error::{Error, Kind, Result, exit};
use crate::landing::Landing;
use crate::report::numbers::counted;
use serde_json::json;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;

const EXAMPLES: &str = "\
A snapshot contains the tenants with references to their passwords, the
templates with all their versions, and the ledger; no secrets and no rows.
`dayhaul restore` finds the newest by itself.

Examples:
  dayhaul snapshot
  dayhaul snapshot --keep 30
  dayhaul snapshot --out catalog.json";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A file (`….json`), or a folder or URL, where it becomes `_dayhaul/snapshot-<UTC time>-<id>.json` [default: `landing.url`]
    #[arg(long, value_name = "FILE|URL")]
    out: Option<String>,
    /// Keep the newest N snapshots of the folder, remove the others
    #[arg(long, value_name = "N")]
    keep: Option<NonZeroUsize>,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let settings = context.settings()?;
    let out = args.out(&settings)?;
    let catalog = Catalog::open(&settings).await?;
    let snapshot = take(catalog.session()).await?;
    drop(catalog);
    let (url, removed) = match &out {
        Out::File(path) => (write(path, &snapshot)?, Vec::new()),
        Out::Place(place) => {
            let url = snapshots::keep(place, &snapshot).await?;
            let removed = match args.keep {
                Some(keep) => snapshots::thin_out(place, keep.get()).await?,
                None => Vec::new(),
            };
            (url, removed)
        }
    };
    let units: usize = snapshot.pairs.iter().map(|p| p.units.len()).sum();
    context.print(format!(
        "snapshot {} of {}: {}, {}, {} in {url}",
        snapshot.id,
        snapshot.taken_at,
        counted(snapshot.tenants.len() as u64, "tenant"),
        counted(snapshot.templates.len() as u64, "template"),
        counted(units as u64, "day"),
    ));
    for url in &removed {
        context.print(format!("removed {url}"));
    }
    context.print_json(&json!({
        "schema": "dayhaul.snapshot.taken/1",
        "id": snapshot.id,
        "taken_at": snapshot.taken_at,
        "url": url,
        "tenants": snapshot.tenants.len(),
        "templates": snapshot.templates.len(),
        "units": units,
        "removed": removed,
    }));
    Ok(exit::OK)
}

/// Where it goes.
enum Out {
    File(String),
    Place(Landing),
}

impl Args {
    fn out(&self, settings: &Settings) -> Result<Out> {
        let Some(out) = &self.out else {
            let landing = landing_root::configured(settings)?.ok_or_else(|| {
                Error::usage("no landing URL is configured")
                    .with_hint("add `--out FILE` or `--out URL`, or set `url` under `[landing]`")
            })?;
            return Ok(Out::Place(landing));
        };
        if out.contains("://") || Path::new(out).is_dir() {
            return landing_root::open(out).map(Out::Place);
        }
        if self.keep.is_some() {
            return Err(Error::usage(
                "`--keep` needs a folder of snapshots, and `--out` is a file",
            )
            .with_hint("use `--out FOLDER`, or leave out `--keep`"));
        }
        Ok(Out::File(out.clone()))
    }
}

/// Replaces a file as a whole.
fn write(path: &str, snapshot: &Snapshot) -> Result<String> {
    let failed = |e: std::io::Error| {
        Error::new(Kind::Io, format!("failed to write `{path}`")).with_source(e)
    };
    let aside = format!("{path}.{}", std::process::id());
    let written = std::fs::File::create(&aside)
        .and_then(|mut file| {
            file.write_all(&snapshot.render().map_err(std::io::Error::other)?)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&aside, path));
    if let Err(e) = written {
        let _ = std::fs::remove_file(&aside);
        return Err(failed(e));
    }
    Ok(path.to_owned())
}
