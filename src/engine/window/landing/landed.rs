//! The files of a pair, as known in a run.

use crate::catalog::ledger::objects::Object;
use crate::unit::Day;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A pair's files as the ledger records them. Shared by all workers that land its days in a run.
#[derive(Debug, Clone, Default)]
pub struct Landed(Arc<Mutex<BTreeMap<Day, UnitFile>>>);

/// A unit's file, and whether this run wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    pub object: Object,
    pub written: bool,
}

impl Landed {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Day, UnitFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, day: Day) -> Option<UnitFile> {
        self.lock().get(&day).cloned()
    }

    /// Adds a file that existed before this run.
    pub fn found(&self, day: Day, object: Object) {
        let written = false;
        self.lock().insert(day, UnitFile { object, written });
    }

    /// The unit's rows changed: its file is no longer the right one.
    pub fn forget(&self, day: Day) {
        self.lock().remove(&day);
    }

    /// Adds files that this run wrote.
    pub fn written(&self, objects: &[(Day, Object)]) {
        let written = objects.iter().map(|(day, object)| {
            let object = object.clone();
            let written = true;
            (*day, UnitFile { object, written })
        });
        self.lock().extend(written);
    }
}
