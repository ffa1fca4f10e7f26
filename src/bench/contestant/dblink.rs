//! dblink: as operators run it, with several sessions, and at its best.

use super::Contestant;
use super::statements::{at_once, commented, day_view, held, held_by_days, over_dblink, text};
use crate::bench::evidence::Evidence;
use crate::bench::ground::Work;
use crate::bench::lane::Lane;
use crate::bench::meter::Used;
use crate::error::Result;
use crate::unit::Day;
use futures::future::try_join_all;

pub const NAME: &str = "dblink";
pub const JOBS: &str = "dblink-jobs";
pub const BEST: &str = "dblink-best";

/// A materialized view and its indexes per day. Each session works in one transaction; a transaction's statements are sent
/// as one message, so the client's round trips cost nothing.
pub struct DayViews {
    /// As many sessions as jobs, instead of one.
    pub many: bool,
}

impl DayViews {
    fn sessions(&self, lane: &Lane) -> usize {
        if self.many { lane.jobs } else { 1 }
    }

    /// One transaction per session, the days dealt out in turn.
    fn transactions(&self, lane: &Lane, shown: bool) -> Result<Vec<Vec<String>>> {
        let sessions = self.sessions(lane).min(lane.window.len()).max(1);
        let mut shares = vec![vec!["BEGIN".to_owned()]; sessions];
        for (turn, day) in lane.window.days().enumerate() {
            shares[turn % sessions].extend(day_view(lane, day, shown)?);
        }
        for share in &mut shares {
            share.push("COMMIT".to_owned());
        }
        Ok(shares)
    }

    /// Makes the views.
    ///
    /// # Errors
    /// A server's.
    pub async fn load(&self, lane: &Lane) -> Result<()> {
        let shares = self.transactions(lane, false)?;
        try_join_all(shares.iter().map(|share| at_once(lane, share))).await?;
        Ok(())
    }

    /// The first day's statements, and how they go on.
    ///
    /// # Errors
    /// The query cannot be bound.
    pub fn shown(&self, lane: &Lane) -> Result<String> {
        let first: Day = lane.window.from;
        let how = match self.sessions(lane) {
            1 => "In the warehouse, one session, one transaction:".to_owned(),
            n => format!(
                "In the warehouse, {n} sessions side by side, the days dealt out in turn; each session, in one transaction:"
            ),
        };
        let days = text(&day_view(lane, first, true)?);
        Ok(format!(
            "{}{}",
            commented(&how, &format!("BEGIN;\n{days}")),
            commented(
                &format!(
                    "… and so for each of {} days, {}",
                    lane.window.len(),
                    lane.window
                ),
                "COMMIT;\n"
            )
        ))
    }
}

impl Contestant for DayViews {
    fn name(&self) -> &str {
        if self.many { JOBS } else { NAME }
    }

    fn title(&self) -> String {
        match self.many {
            false => "dblink, a view per day, one session".into(),
            true => "dblink, a view per day, as many sessions as jobs".into(),
        }
    }

    fn script(&self, lane: &Lane) -> Result<String> {
        self.shown(lane)
    }

    fn extension(&self) -> Option<&'static str> {
        Some("dblink")
    }

    fn run<'a>(&'a self, lane: &'a Lane) -> Work<'a, Used> {
        Box::pin(async move {
            self.load(lane).await?;
            Ok(Used::default())
        })
    }

    fn output<'a>(&'a self, lane: &'a Lane) -> Work<'a, Evidence> {
        Box::pin(held_by_days(lane))
    }
}

/// One query for the whole period into one table, then the indexes: nothing can be asked of dblink that is faster.
pub struct Best;

impl Best {
    fn statements(lane: &Lane, shown: bool) -> Result<Vec<String>> {
        let table = lane.relation("");
        let rows = over_dblink(lane, lane.source(), lane.window, shown)?;
        let mut statements = vec![
            "BEGIN".to_owned(),
            format!("CREATE TABLE {table} AS\nSELECT * FROM {rows}"),
        ];
        statements.extend(lane.indexes(&table));
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

    fn script(&self, lane: &Lane) -> Result<String> {
        let statements = text(&Best::statements(lane, true)?);
        Ok(commented(
            "In the warehouse, one session (the server may build an index with parallel workers):",
            &statements,
        ))
    }

    fn extension(&self) -> Option<&'static str> {
        Some("dblink")
    }

    fn run<'a>(&'a self, lane: &'a Lane) -> Work<'a, Used> {
        Box::pin(async move {
            at_once(lane, &Best::statements(lane, false)?).await?;
            Ok(Used::default())
        })
    }

    fn output<'a>(&'a self, lane: &'a Lane) -> Work<'a, Evidence> {
        Box::pin(held(lane, [(lane.relation(""), lane.window)]))
    }
}
