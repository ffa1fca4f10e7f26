//! What a person should know about the data although nothing failed: reported at once, and again at the end.

use super::event::{Event, Observer};
use std::sync::{Arc, Mutex, PoisonError};

/// Collects notes from all workers.
pub struct Notes {
    observer: Arc<dyn Observer>,
    notes: Mutex<Vec<String>>,
}

impl Notes {
    pub fn new(observer: Arc<dyn Observer>) -> Notes {
        Notes {
            observer,
            notes: Mutex::default(),
        }
    }

    /// The same note is made once.
    pub fn add(&self, note: String) {
        {
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            if notes.contains(&note) {
                return;
            }
            notes.push(note.clone());
        }
        self.observer.event(&Event::Warning(note));
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
