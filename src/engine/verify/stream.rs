//! One COPY read to its end, tuple by tuple, with constant memory.

use crate::copy::{Intake, Tally};
use crate::engine::report::progress::Progress;
use crate::engine::window::drain::{RowSink, drain};
use crate::error::Result;
use crate::pg::Session;
use crate::template::Template;
use crate::unit::Window;

/// Shows each tuple, and keeps none.
struct Look<F>(F);

impl<F: FnMut(&[u8])> RowSink for Look<F> {
    fn row(&mut self, _day: usize, tuple: &[u8]) {
        (self.0)(tuple);
    }
}

/// Runs a COPY OUT and tallies the days of `window`. `each` sees every tuple.
///
/// # Errors
/// The server's; those of [`Intake`].
pub async fn tally(
    session: &Session,
    sql: &str,
    template: &Template,
    window: Window,
    progress: &Progress<'_>,
    each: impl FnMut(&[u8]),
) -> Result<Vec<Tally>> {
    let rows = session.copy_out(sql).await?;
    let mut intake = Intake::new(&template.columns, template.time_index(), window);
    let drained = drain(rows, &mut intake, progress, &mut Look(each)).await?;
    Ok(drained.unwrap_or_default())
}
