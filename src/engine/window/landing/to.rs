//! Whether the rows of a run go into the warehouse, into files, or both.

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::landing::{Landing, WriterOptions};

/// Where the rows of a run go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum To {
    #[default]
    Warehouse,
    /// Only into files.
    Parquet,
    Both,
}

impl To {
    /// Whether files are written.
    pub fn lands(self) -> bool {
        self != To::Warehouse
    }

    /// The default, from the configuration.
    pub fn configured(settings: &Settings) -> To {
        if settings.landing.enabled {
            To::Both
        } else {
            To::Warehouse
        }
    }
}

/// Opens the configured landing root.
///
/// # Errors
/// Refused when no URL is configured or rows are masked; an invalid URL.
pub fn open(settings: &Settings) -> Result<Landing> {
    settings.refuse_masked(
        "masked rows cannot be landed: they would replace the true rows in the files",
    )?;
    let Some(url) = &settings.landing.url else {
        return Err(Error::refused("no landing URL is configured").with_hint(
            "add `[landing]` with `url = \"file:///srv/lake\"` to dayhaul.toml, or set DAYHAUL_LANDING_URL",
        ));
    };
    Landing::open(url, WriterOptions::default())
}
