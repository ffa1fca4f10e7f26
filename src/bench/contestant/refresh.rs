//! Refreshing dblink's day views by REFRESH MATERIALIZED VIEW, concurrently or not.

use super::Contestant;
use super::dblink::DayViews;
use super::statements::{commented, loaded_days, script};
use crate::bench::environment::Work;
use crate::bench::fingerprint::Fingerprint;
use crate::bench::meter::ContestantUsage;
use crate::bench::sandbox::Sandbox;
use crate::error::Result;

pub const CONCURRENTLY: &str = "dblink-concurrently";
pub const REWRITE: &str = "dblink-rewrite";

const LOADER: DayViews = DayViews { jobs: false };

/// Refreshes the views of all days of the window, one after another.
pub struct RefreshViews {
    /// Readers can read during the refresh, and only differences are written. Otherwise the view is rewritten under a lock
    /// that blocks readers.
    pub concurrently: bool,
}

impl RefreshViews {
    fn statements(&self, sandbox: &Sandbox) -> Vec<String> {
        let how = if self.concurrently {
            "CONCURRENTLY "
        } else {
            ""
        };
        sandbox
            .window
            .days()
            .map(|day| format!("REFRESH MATERIALIZED VIEW {how}{}", sandbox.day(day)))
            .collect()
    }
}

impl Contestant for RefreshViews {
    fn name(&self) -> &str {
        if self.concurrently {
            CONCURRENTLY
        } else {
            REWRITE
        }
    }

    fn title(&self) -> String {
        if self.concurrently {
            "REFRESH MATERIALIZED VIEW CONCURRENTLY over dblink".into()
        } else {
            "REFRESH MATERIALIZED VIEW over dblink, a full rewrite".into()
        }
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        Ok([
            commented("Not timed:", &LOADER.excerpt(sandbox)?),
            commented(
                "Timed, in the warehouse, one session, each statement in its own transaction:",
                &script(&self.statements(sandbox)),
            ),
        ]
        .join("\n"))
    }

    fn extension(&self) -> Option<&'static str> {
        Some("dblink")
    }

    fn left_out(&self, sandbox: &Sandbox) -> Option<&'static str> {
        (self.concurrently && sandbox.template.unique.is_empty()).then_some(
            "REFRESH … CONCURRENTLY needs a unique index, and the template declares no `unique`",
        )
    }

    fn prepare<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ()> {
        Box::pin(async move { LOADER.load(sandbox).await })
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            // One statement per message: several in one message would be one transaction.
            let session = sandbox.warehouse.connect().await?;
            for statement in self.statements(sandbox) {
                session.batch(&statement).await?;
            }
            Ok(ContestantUsage::default())
        })
    }

    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Box::pin(loaded_days(sandbox))
    }
}
