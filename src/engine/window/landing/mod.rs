//! Landing: the days of a window become Parquet files, from the rows that pass to the warehouse, from the warehouse, or
//! without it.
//!
//! ```text
//! rows pass ─▶ files finished aside ─▶ the warehouse commits, to the disk ─▶ files published ─▶ the ledger names them
//! ```
//!
//! Whatever ends a run between two of these steps leaves a unit that the ledger calls loaded and not landed; the next run
//! that lands reads it from the warehouse. A file is published while the pair's lease and the unit's line in the ledger
//! are held, and only if that line still says what is in the file: an older file never takes a newer one's place.

mod day_files;
pub mod files_only;
pub mod from_warehouse;
pub mod publish;

pub use day_files::{DayFiles, Lake};
pub use from_warehouse::FromWarehouse;

use crate::catalog::ledger::objects::Object;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::landing::Landing;
use crate::template::Template;
use crate::unit::Day;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the rows of a run go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum To {
    #[default]
    Warehouse,
    /// Into files, and nowhere else.
    Parquet,
    Both,
}

impl To {
    /// Whether files are written.
    pub fn lands(self) -> bool {
        self != To::Warehouse
    }

    /// What the configuration says when nobody says otherwise.
    pub fn configured(settings: &Settings) -> To {
        if settings.landing.enabled {
            To::Both
        } else {
            To::Warehouse
        }
    }
}

/// Opens the root that the configuration names.
///
/// # Errors
/// Refused when it names none, or is a laptop's; a URL that is no root.
pub fn open(settings: &Settings) -> Result<Landing> {
    settings
        .refuse_masked("masked rows are not for files: they would take the true ones' place")?;
    let Some(url) = &settings.landing.url else {
        return Err(Error::refused("nobody said where files go").with_hint(
            "write `[landing]` and `url = \"file:///srv/lake\"` into dayhaul.toml, or set DAYHAUL_LANDING_URL",
        ));
    };
    Landing::open(url, crate::landing::Options::default())
}

/// The objects of a pair as its ledger has them: shared by all who land its days in a run.
#[derive(Debug, Clone, Default)]
pub struct Landed(Arc<Mutex<BTreeMap<Day, Known>>>);

/// A unit's object, and whether this run wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub object: Object,
    pub written: bool,
}

impl Landed {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Day, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, day: Day) -> Option<Known> {
        self.lock().get(&day).cloned()
    }

    /// An object that was there before this run.
    pub fn found(&self, day: Day, object: Object) {
        let written = false;
        self.lock().insert(day, Known { object, written });
    }

    /// Whatever object there was is not the one that counts.
    pub fn forget(&self, day: Day) {
        self.lock().remove(&day);
    }

    fn written(&self, objects: &[(Day, Object)]) {
        let known = objects.iter().map(|(day, object)| {
            let object = object.clone();
            (
                *day,
                Known {
                    object,
                    written: true,
                },
            )
        });
        self.lock().extend(known);
    }
}

/// A template as it was when days were loaded with it, and how its columns land today: that is no part of a version.
pub fn landing_as_today(mut then: Template, now: &Template) -> Template {
    for column in &mut then.columns {
        let same = |today: &&crate::schema::Column| {
            today.name == column.name && today.ty == column.ty && column.land.is_none()
        };
        if let Some(today) = now.columns.iter().find(same) {
            column.land = today.land;
        }
    }
    then
}
