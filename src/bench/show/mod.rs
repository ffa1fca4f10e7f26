//! The output of a bench: tables on the terminal, `bench.md` and `bench.html` for people, `bench.json` for programs.

mod bar_chart;
mod html;
mod markdown;
mod results_table;
mod terminal;
mod text;

use super::result::BenchReport;
use crate::error::{Error, Kind, Result};
use std::path::Path;

pub use terminal::{scenario, summary};

/// Writes `bench.json`, `bench.md` and `bench.html` into a folder.
///
/// # Errors
/// A file cannot be written.
pub fn write(report: &BenchReport, folder: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report)
        .map_err(|e| Error::new(Kind::Bug, "failed to write the report as JSON").with_source(e))?;
    for (name, text) in [
        ("bench.json", json + "\n"),
        ("bench.md", markdown::render(report)),
        ("bench.html", html::render(report)),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|e| {
            Error::new(Kind::Io, format!("failed to write `{}`", path.display())).with_source(e)
        })?;
    }
    Ok(())
}

/// Creates the folder and writes a file there, so that a wrong path fails before the work.
///
/// # Errors
/// The folder cannot be created or written to.
pub fn prepare_folder(folder: &Path) -> Result<()> {
    let failed = |e| {
        Error::new(
            Kind::Io,
            format!("failed to write to folder `{}`", folder.display()),
        )
        .with_source(e)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let probe = folder.join(".bench");
    std::fs::write(&probe, "").map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)
}
