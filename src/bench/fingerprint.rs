//! Row count and digest, at the sources and where a contestant left its rows.

use super::endpoint::TenantDatabase;
use super::sandbox::Sandbox;
use crate::copy::{Digest, Intake};
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::template::{Template, copy_out_sql};
use crate::unit::Window;
use futures::StreamExt;

/// What identifies a set of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint {
    pub rows: u64,
    /// Of rows, the sum of their hashes, as in the ledger. Of a query's answer, the hash of its text.
    pub digest: String,
}

/// Counts and hashes rows read by COPY.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowReader {
    rows: u64,
    digest: Digest,
}

impl RowReader {
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            rows: self.rows,
            digest: self.digest.to_string(),
        }
    }

    /// Adds rows that another reader has read.
    ///
    /// # Errors
    /// The fingerprint is not one of rows, which is a bug.
    pub fn add(&mut self, other: &Fingerprint) -> Result<()> {
        let digest: Digest = other
            .digest
            .parse()
            .map_err(|e| Error::new(Kind::Bug, "not a digest of rows").with_source(e))?;
        self.rows += other.rows;
        self.digest.merge(digest);
        Ok(())
    }

    /// Reads a relation by binary COPY. Rows outside `window` are an error.
    ///
    /// # Errors
    /// The server fails, or the relation has rows outside `window`.
    pub async fn read(
        &mut self,
        session: &Session,
        relation: &str,
        template: &Template,
        window: Window,
    ) -> Result<()> {
        let sql = copy_out_sql(template, &format!("SELECT * FROM {relation}"), None);
        self.copy_out(session, &sql, template, window).await
    }

    async fn copy_out(
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

    async fn read_source(&mut self, source: &TenantDatabase, sandbox: &Sandbox) -> Result<()> {
        let (template, window) = (&sandbox.template, sandbox.window);
        let session = source.endpoint.connect().await?;
        source.begin(&session).await?;
        let sql = copy_out_sql(template, &source.bound(template, window)?, None);
        self.copy_out(&session, &sql, template, window).await?;
        session.batch("COMMIT").await
    }
}

/// The rows of all sources in the sandbox's window.
///
/// # Errors
/// A source fails.
pub async fn source_fingerprint(sandbox: &Sandbox) -> Result<Fingerprint> {
    let mut reader = RowReader::default();
    for source in &sandbox.sources {
        reader
            .read_source(source, sandbox)
            .await
            .at(|| format!("tenant `{}`", source.schema))?;
    }
    Ok(reader.fingerprint())
}

/// # Errors
/// The fingerprints differ; the message describes how.
pub fn compare(found: &Fingerprint, expected: &Fingerprint) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let how = if found.rows == expected.rows {
        format!(
            "{} rows as at the source, but with another digest",
            found.rows
        )
    } else {
        format!("{} rows instead of {}", found.rows, expected.rows)
    };
    Err(Error::new(Kind::Data, format!("the rows differ: {how}")))
}
