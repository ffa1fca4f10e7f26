//! What rows there are: their number and digest, at the sources and where a contestant left them.

use super::lane::{Lane, Source};
use crate::copy::{Digest, Intake};
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::template::{SOURCE_SETTINGS, Template, copy_out_sql};
use crate::unit::Window;
use futures::StreamExt;

/// Rows, by number and fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    pub rows: u64,
    /// Of rows the sum of their hashes, as the ledger has it; of a query's answer the hash of its text.
    pub digest: String,
}

/// Rows seen so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    rows: u64,
    digest: Digest,
}

impl Seen {
    pub fn evidence(&self) -> Evidence {
        Evidence {
            rows: self.rows,
            digest: self.digest.to_string(),
        }
    }

    /// Reads a relation, or a query in parentheses with an alias, by binary COPY. Rows outside of `window` are an error.
    ///
    /// # Errors
    /// The server's; rows that do not belong there.
    pub async fn read(
        &mut self,
        session: &Session,
        from: &str,
        template: &Template,
        window: Window,
    ) -> Result<()> {
        let sql = copy_out_sql(template, &format!("SELECT * FROM {from}"), None);
        self.take(session, &sql, template, window).await
    }

    async fn take(
        &mut self,
        session: &Session,
        sql: &str,
        template: &Template,
        window: Window,
    ) -> Result<()> {
        let mut copy = session.copy_out(sql).await?;
        let mut intake = Intake::new(&template.columns, template.time_index(), window);
        while let Some(chunk) = copy.next().await {
            intake.push(&chunk?, |_, _| {})?;
            intake.discard();
        }
        for day in intake.finish()? {
            self.rows += day.rows;
            self.digest.merge(day.digest);
        }
        Ok(())
    }
}

/// What the sources hold in the lane's window.
///
/// # Errors
/// A source's.
pub async fn truth(lane: &Lane) -> Result<Evidence> {
    let mut seen = Seen::default();
    for source in &lane.sources {
        ask(&mut seen, source, lane)
            .await
            .at(|| format!("tenant `{}`", source.schema))?;
    }
    Ok(seen.evidence())
}

async fn ask(seen: &mut Seen, source: &Source, lane: &Lane) -> Result<()> {
    let (template, window) = (&lane.template, lane.window);
    let session = source.endpoint.connect().await?;
    session
        .batch(&format!("BEGIN READ ONLY; {SOURCE_SETTINGS}"))
        .await?;
    let sql = copy_out_sql(template, &source.bound(template, window)?, None);
    seen.take(&session, &sql, template, window).await?;
    session.batch("COMMIT").await
}

/// Nothing but the same rows earns a figure.
///
/// # Errors
/// They differ; how.
pub fn compare(found: &Evidence, truth: &Evidence) -> Result<()> {
    if found == truth {
        return Ok(());
    }
    let how = if found.rows == truth.rows {
        format!(
            "{} rows as at the source, but with another digest",
            found.rows
        )
    } else {
        format!("{} rows instead of {}", found.rows, truth.rows)
    };
    Err(Error::new(Kind::Data, format!("the rows differ: {how}")))
}
