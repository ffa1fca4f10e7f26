//! The days that were compared with their sources and found equal: written down many at a time, as nothing depends on them
//! before the run's end. What a run that dies did not write down is compared again by the next one.

use crate::catalog::ledger::units::{self, CheckedDay};
use crate::error::Result;
use crate::pg::Session;
use std::sync::{Mutex, PoisonError};

/// Days that wait to be written down, at most.
const WAITING: usize = 300;

/// Collects such days from all workers of a run.
#[derive(Default)]
pub struct CheckedDays(Mutex<Vec<CheckedDay>>);

impl CheckedDays {
    /// Adds days, and writes all that wait when they are many.
    ///
    /// # Errors
    /// The warehouse's; the days wait on.
    pub async fn add(
        &self,
        session: &Session,
        run: i64,
        days: impl IntoIterator<Item = CheckedDay>,
    ) -> Result<()> {
        let many = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.extend(days);
            waiting.len() >= WAITING
        };
        if many {
            self.write(session, run).await?;
        }
        Ok(())
    }

    /// Writes down all days that wait.
    ///
    /// # Errors
    /// The warehouse's; the days wait on.
    pub async fn write(&self, session: &Session, run: i64) -> Result<()> {
        let days = {
            let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.clone()
        };
        if days.is_empty() {
            return Ok(());
        }
        units::checked(session, run, &days).await?;
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|day| !days.contains(day));
        Ok(())
    }
}
