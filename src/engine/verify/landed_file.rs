//! A unit's Parquet file, read back and encoded as the tuples that were landed.

use crate::catalog::ledger::units::Recorded;
use crate::copy::{Encoder, Tally};
use crate::engine::report::progress::WindowProgress;
use crate::error::{At, Error, Kind, Result};
use crate::landing::{LandedFile, Landing, ObjectPath};
use crate::template::Template;
use crate::unit::Day;
use bytes::BytesMut;

/// Counts and digests the rows of a unit's file, whatever its footer declares. `None` when the file does not exist.
///
/// # Errors
/// A file that is cut short, is not one of Dayhaul's, or does not match its footer. The error names its URL and day.
pub async fn tally(
    landing: &Landing,
    object: &ObjectPath,
    recorded: &Recorded,
    progress: &WindowProgress<'_>,
) -> Result<Option<Tally>> {
    let Some(file) = landing.open_file(object).await? else {
        return Ok(None);
    };
    let url = file.url().to_owned();
    read(&file, object.day, recorded, progress)
        .await
        .at(|| format!("`{url}`"))
        .map(Some)
}

async fn read(
    file: &LandedFile,
    day: Day,
    recorded: &Recorded,
    progress: &WindowProgress<'_>,
) -> Result<Tally> {
    let footer = file.footer();
    let origin = &footer.origin;
    let template = Template::parse(origin.template.clone(), &origin.template_source)
        .at(|| "template in the footer".to_owned())?;
    let mut encoder = Encoder::new(&template.columns)?;
    let mut tuples = BytesMut::new();
    let mut found = Tally::default();
    for batch in file.batches()? {
        let batch = batch?;
        tuples.clear();
        encoder
            .encode(&batch, &mut tuples, |tuple| found.add(tuple))
            .map_err(|e| e.on_day(day))?;
        progress.moved(batch.num_rows() as u64, tuples.len() as u64);
        // The same thread serves the connections of this window.
        tokio::task::yield_now().await;
    }
    if found.digest != footer.digest_of_rows() || found.rows != footer.rows {
        return Err(Error::new(
            Kind::Data,
            format!(
                "its footer declares {} rows with digest {}, but it holds {} rows with digest {}",
                footer.rows,
                footer.digest_of_rows(),
                found.rows,
                found.digest
            ),
        )
        .with_hint(
            "the file was changed: rewrite it from the warehouse with `dayhaul land --rewrite`",
        ));
    }
    // A file that cannot reproduce the bytes exactly still records their digest. After a restore, the ledger records the rows
    // as they are in the file.
    if footer.restored_digest.is_some() && found.digest != recorded.tally.digest {
        found.digest = footer.digest;
        if found.digest == recorded.tally.digest {
            found.bytes = recorded.tally.bytes;
        }
    }
    Ok(found)
}
