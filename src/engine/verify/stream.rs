//! One COPY read to its end, tuple by tuple, with constant memory.

use crate::copy::{Intake, SEND_BYTES, Tally};
use crate::error::Result;
use crate::pg::Session;
use crate::template::Template;
use crate::unit::Window;
use futures::StreamExt;

/// Runs a COPY OUT and tallies the days of `window`. `each` sees every tuple with its day's index in the window;
/// `moved` is called with (rows, bytes) that passed since the last call.
///
/// # Errors
/// The server's; those of [`Intake`].
pub async fn tally(
    session: &Session,
    sql: &str,
    template: &Template,
    window: Window,
    moved: impl Fn(u64, u64),
    mut each: impl FnMut(usize, &[u8]),
) -> Result<Vec<Tally>> {
    let mut copy = session.copy_out(sql).await?;
    let mut intake = Intake::new(&template.columns, template.time_index(), window);
    let (mut rows, mut bytes) = (0, 0);
    while let Some(chunk) = copy.next().await {
        intake.push(&chunk?, |day, tuple| {
            rows += 1;
            bytes += tuple.len();
            each(day, tuple);
        })?;
        intake.discard();
        if bytes >= SEND_BYTES {
            moved(std::mem::take(&mut rows), std::mem::take(&mut bytes) as u64);
        }
    }
    moved(rows, bytes as u64);
    Ok(intake.finish()?.to_vec())
}
