//! dblink: as commonly used, with several sessions, and at its best.

use super::Contestant;
use super::statements::{
    Password, commented, day_view, loaded_days, loaded_rows, one_query_left_out, over_dblink,
    run_batch, script,
};
use crate::bench::environment::Work;
use crate::bench::fingerprint::Fingerprint;
use crate::bench::meter::ContestantUsage;
use crate::bench::sandbox::Sandbox;
use crate::error::Result;
use crate::unit::Day;
use futures::future::try_join_all;

pub const NAME: &str = "dblink";
pub const JOBS: &str = "dblink-jobs";
pub const BEST: &str = "dblink-best";

/// A materialized view and its indexes per day. Each session runs one transaction, sent as one message, so that the client
/// adds no round trips.
pub struct DayViews {
    /// Use as many sessions as jobs, instead of one.
    pub jobs: bool,
}

impl DayViews {
    fn sessions(&self, sandbox: &Sandbox) -> usize {
        if self.jobs { sandbox.jobs } else { 1 }
    }

    /// One transaction per session, with the days distributed in turn.
    fn transactions(&self, sandbox: &Sandbox) -> Result<Vec<Vec<String>>> {
        let sessions = self.sessions(sandbox).min(sandbox.window.len()).max(1);
        let mut shares = vec![vec!["BEGIN".to_owned()]; sessions];
        for (turn, day) in sandbox.window.days().enumerate() {
            shares[turn % sessions].extend(day_view(sandbox, day, Password::Included)?);
        }
        for share in &mut shares {
            share.push("COMMIT".to_owned());
        }
        Ok(shares)
    }

    /// Creates the views.
    ///
    /// # Errors
    /// A server fails.
    pub async fn load(&self, sandbox: &Sandbox) -> Result<()> {
        let shares = self.transactions(sandbox)?;
        try_join_all(shares.iter().map(|share| run_batch(sandbox, share))).await?;
        Ok(())
    }

    /// The statements of the first day, for the report.
    ///
    /// # Errors
    /// The query cannot be bound.
    pub fn excerpt(&self, sandbox: &Sandbox) -> Result<String> {
        let first: Day = sandbox.window.from;
        let how = match self.sessions(sandbox) {
            1 => "In the warehouse, one session, one transaction:".to_owned(),
            n => format!(
                "In the warehouse, {n} parallel sessions with the days distributed in turn; each session, in one transaction:"
            ),
        };
        let days = script(&day_view(sandbox, first, Password::Redacted)?);
        Ok(format!(
            "{}{}",
            commented(&how, &format!("BEGIN;\n{days}")),
            commented(
                &format!(
                    "… and the same for each of {} days, {}",
                    sandbox.window.len(),
                    sandbox.window
                ),
                "COMMIT;\n"
            )
        ))
    }
}

impl Contestant for DayViews {
    fn name(&self) -> &str {
        if self.jobs { JOBS } else { NAME }
    }

    fn title(&self) -> String {
        if self.jobs {
            "dblink, a view per day, as many sessions as jobs".into()
        } else {
            "dblink, a view per day, one session".into()
        }
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        self.excerpt(sandbox)
    }

    fn extension(&self) -> Option<&'static str> {
        Some("dblink")
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            self.load(sandbox).await?;
            Ok(ContestantUsage::default())
        })
    }

    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Box::pin(loaded_days(sandbox))
    }
}

/// One query for the whole period into one table, then the indexes: the fastest load that dblink allows.
pub struct Best;

impl Best {
    fn statements(sandbox: &Sandbox, password: Password) -> Result<Vec<String>> {
        let table = sandbox.relation("");
        let rows = over_dblink(sandbox, sandbox.source(), sandbox.window, password)?;
        let mut statements = vec![
            "BEGIN".to_owned(),
            format!("CREATE TABLE {table} AS\nSELECT * FROM {rows}"),
        ];
        statements.extend(sandbox.indexes(&table));
        statements.push("COMMIT".to_owned());
        Ok(statements)
    }
}

impl Contestant for Best {
    fn name(&self) -> &str {
        BEST
    }

    fn title(&self) -> String {
        "dblink at its best: one query, one table".into()
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        let statements = script(&Best::statements(sandbox, Password::Redacted)?);
        Ok(commented(
            "In the warehouse, one session (the server may build indexes with parallel workers):",
            &statements,
        ))
    }

    fn left_out(&self, sandbox: &Sandbox) -> Option<&'static str> {
        one_query_left_out(sandbox)
    }

    fn extension(&self) -> Option<&'static str> {
        Some("dblink")
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            run_batch(sandbox, &Best::statements(sandbox, Password::Included)?).await?;
            Ok(ContestantUsage::default())
        })
    }

    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Box::pin(loaded_rows(
            sandbox,
            [(sandbox.relation(""), sandbox.window)],
        ))
    }
}
