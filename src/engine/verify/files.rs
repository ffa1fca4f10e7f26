//! A unit's file read back: its rows, as the tuples that they were.

use crate::catalog::ledger::units::Recorded;
use crate::copy::{Encoder, Tally};
use crate::error::{At, Error, Kind, Result};
use crate::landing::{LandedFile, Landing, ObjectPath};
use crate::template::Template;
use crate::unit::Day;
use bytes::BytesMut;

/// Counts and digests the rows of a unit's file, whatever its footer says of them. `None` when there is no file.
///
/// # Errors
/// A file that is cut short, foreign, or other than its footer says: named by its URL, with the day.
pub async fn tally(
    landing: &Landing,
    object: &ObjectPath,
    recorded: &Recorded,
    moved: impl Fn(u64, u64),
) -> Result<Option<Tally>> {
    let Some(file) = landing.open_file(object).await? else {
        return Ok(None);
    };
    let url = file.url().to_owned();
    read(&file, object.day, recorded, moved)
        .await
        .at(|| format!("`{url}`"))
        .map(Some)
}

async fn read(
    file: &LandedFile,
    day: Day,
    recorded: &Recorded,
    moved: impl Fn(u64, u64),
) -> Result<Tally> {
    let footer = file.footer();
    let origin = &footer.origin;
    let template = Template::parse(origin.template.clone(), &origin.template_source)
        .at(|| "the template in its footer".to_owned())?;
    let mut encoder = Encoder::new(&template.columns)?;
    let mut tuples = BytesMut::new();
    let mut found = Tally::default();
    for batch in file.batches()? {
        let batch = batch?;
        tuples.clear();
        encoder
            .encode(&batch, &mut tuples, |tuple| found.add(tuple))
            .map_err(|e| e.on_day(day))?;
        moved(batch.num_rows() as u64, tuples.len() as u64);
        // The connections of this window are served by the same thread.
        tokio::task::yield_now().await;
    }
    if found.digest != footer.digest_of_rows() || found.rows != footer.rows {
        return Err(Error::new(
            Kind::Data,
            format!(
                "its footer says {} rows with digest {}, its rows are {} with digest {}",
                footer.rows,
                footer.digest_of_rows(),
                found.rows,
                found.digest
            ),
        )
        .with_hint("somebody changed the file: `dayhaul land --rewrite` writes it again, from the warehouse"));
    }
    if footer.restored_digest.is_some() {
        // A file that cannot give back the very bytes still says which they were.
        found.digest = footer.digest;
        if found.digest == recorded.tally.digest {
            found.bytes = recorded.tally.bytes;
        }
    }
    Ok(found)
}
