//! What brings dblink's day views up to date: REFRESH MATERIALIZED VIEW, concurrently or not.

use super::Contestant;
use super::dblink::DayViews;
use super::statements::{commented, held_by_days, text};
use crate::bench::evidence::Evidence;
use crate::bench::ground::Work;
use crate::bench::lane::Lane;
use crate::bench::meter::Used;
use crate::error::Result;

pub const CONCURRENTLY: &str = "dblink-concurrently";
pub const REWRITE: &str = "dblink-rewrite";

const LOADER: DayViews = DayViews { many: false };

/// The views of all days of the window, one after the other.
pub struct RefreshViews {
    /// Readers go on meanwhile, and only what differs is written; else the view is written anew under a lock that keeps
    /// readers out.
    pub concurrently: bool,
}

impl RefreshViews {
    fn statements(&self, lane: &Lane) -> Vec<String> {
        let how = if self.concurrently {
            "CONCURRENTLY "
        } else {
            ""
        };
        lane.window
            .days()
            .map(|day| format!("REFRESH MATERIALIZED VIEW {how}{}", lane.day(day)))
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
        match self.concurrently {
            true => "REFRESH MATERIALIZED VIEW CONCURRENTLY over dblink".into(),
            false => "REFRESH MATERIALIZED VIEW over dblink, a full rewrite".into(),
        }
    }

    fn script(&self, lane: &Lane) -> Result<String> {
        Ok([
            commented("Not timed:", &LOADER.shown(lane)?),
            commented(
                "Timed, in the warehouse, one session, each statement its own transaction:",
                &text(&self.statements(lane)),
            ),
        ]
        .join("\n"))
    }

    fn extension(&self) -> Option<&'static str> {
        Some("dblink")
    }

    fn left_out(&self, lane: &Lane) -> Option<&'static str> {
        (self.concurrently && lane.template.unique.is_empty()).then_some(
            "REFRESH … CONCURRENTLY needs a unique index, and the template declares no `unique`",
        )
    }

    fn prepare<'a>(&'a self, lane: &'a Lane) -> Work<'a, ()> {
        Box::pin(async move { LOADER.load(lane).await })
    }

    fn run<'a>(&'a self, lane: &'a Lane) -> Work<'a, Used> {
        Box::pin(async move {
            // One statement a message: several in one would be one transaction.
            let session = lane.warehouse.connect().await?;
            for statement in self.statements(lane) {
                session.batch(&statement).await?;
            }
            Ok(Used::default())
        })
    }

    fn output<'a>(&'a self, lane: &'a Lane) -> Work<'a, Evidence> {
        Box::pin(held_by_days(lane))
    }
}
