//! Reads the rows of one query, on one side, with constant memory.

use crate::copy::{Intake, Tally};
use crate::engine::report::progress::WindowProgress;
use crate::engine::window::drain::{RowSink, drain};
use crate::error::Result;
use crate::pg::Session;
use crate::template::Template;
use crate::unit::Window;

/// The rows of a window on one side.
pub struct WindowRows<'a> {
    pub session: &'a Session,
    /// A COPY OUT.
    pub sql: &'a str,
    pub template: &'a Template,
    pub window: Window,
}

impl WindowRows<'_> {
    /// Counts and digests the rows of each day.
    ///
    /// # Errors
    /// Errors of the server; those of [`Intake`].
    pub async fn tally(&self, progress: &WindowProgress<'_>) -> Result<Vec<Tally>> {
        self.for_each(progress, |_| {}).await
    }

    /// The same, and passes every tuple to `each`.
    pub async fn for_each(
        &self,
        progress: &WindowProgress<'_>,
        each: impl FnMut(&[u8]),
    ) -> Result<Vec<Tally>> {
        let template = self.template;
        let mut intake = Intake::new(&template.columns, template.time_index(), self.window);
        let rows = self.session.copy_out(self.sql).await?;
        let mut sink = EachTuple(each);
        let tallies = drain(rows, &mut intake, progress, &mut sink).await?;
        Ok(tallies.unwrap_or_default())
    }
}

struct EachTuple<F>(F);

impl<F: FnMut(&[u8])> RowSink for EachTuple<F> {
    fn row(&mut self, _day: usize, tuple: &[u8]) {
        (self.0)(tuple);
    }
}
