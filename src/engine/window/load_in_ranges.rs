//! A very large day is read in ranges of its time, by as many sessions at its source as have nothing else to do, and written
//! by one: its rows and their ledger entry are one transaction, as those of any other window.
//!
//! ```text
//! BEGIN, export the snapshot ─▶ ranges ─▶ COPY OUT · COPY OUT · … ─▶ one COPY IN ─▶ ledger, one commit
//! ```
//!
//! # Memory usage
//!
//! Each session holds [`SEND_BYTES`](crate::copy::SEND_BYTES) and one tuple, and a few such blocks wait to be written.

use super::context::{WindowLoad, same_count};
use super::drain::{RowSink, drain};
use super::shared_day::{Shared, SharedDay, SharedDays};
use crate::copy::Tally;
use crate::engine::window::outcome::WindowOutcome;
use crate::error::{Error, Kind, Result};
use crate::pg::{Session, SimpleRows, Snapshot};
use crate::template::select_sql;
use crate::unit::TimeRange;
use crate::warehouse::{self, Claim, TableCopy};
use bytes::Bytes;
use tokio::sync::mpsc;

/// Bytes of a page, by which the planner counts.
const PAGE: f64 = 8192.0;

/// A larger part of the day's own cost may not be added by reading it in ranges: without an index on the time, each range
/// reads the whole table.
const WORTHWHILE: f64 = 1.5;

/// A day that is to be read in ranges.
pub struct LargeDay<'a> {
    /// Where other workers find it.
    pub days: &'a SharedDays,
    pub ranges: Vec<TimeRange>,
    /// Of its tuples, as expected.
    pub bytes: u64,
}

/// Sends the tuples of a range on to the day's worker.
struct RangeSink<'a>(&'a mpsc::Sender<Bytes>);

impl RowSink for RangeSink<'_> {
    const TAKES_BLOCKS: bool = true;

    fn row(&mut self, _day: usize, _tuple: &[u8]) {}

    async fn send(&mut self, tuples: Bytes) -> Result<()> {
        // Nobody writes them when the day has failed; why is reported there.
        self.0
            .send(tuples)
            .await
            .map_err(|_| Error::new(Kind::Interrupted, "the day is not loaded any more"))
    }
}

impl WindowLoad<'_> {
    /// Loads a very large day: in ranges if its source can show all of them at one moment, otherwise as any other. After an
    /// error both sessions are in an unknown state, and the warehouse has kept nothing.
    pub async fn load_large_day(
        &self,
        large: LargeDay<'_>,
        from: &Session,
        to: &Session,
    ) -> Result<WindowOutcome> {
        self.transaction().begin(from).await?;
        let snapshot = match self.is_cut_at_little_cost(from, &large).await? {
            true => export_snapshot(from).await?,
            false => None,
        };
        let Some(snapshot) = snapshot else {
            from.batch("ROLLBACK").await?;
            return self.load(from, to).await;
        };
        if self.begin_load(to, self.reload).await? == Claim::Done {
            return Ok(WindowOutcome::AlreadyLoaded);
        }
        let table = warehouse::copy_into(to, self.place, self.destination, self.window.from);
        let mut table = table.await?;
        let (pair, n) = (self.slot.pair, large.ranges.len());
        let (day, arriving) = SharedDay::new(pair, self.window, snapshot, large.ranges);
        let shared = large.days.share(day);
        let (tenant, template) = (&self.pair.tenant.name, &self.pair.template.name);
        tracing::debug!(%tenant, %template, day = %self.window, ranges = n, "a day is read in ranges");
        self.slot.call_for_help();
        let tally = self.pass_on(&shared, from, &mut table, arriving).await?;
        let days = [tally];
        let (stored, ended) = tokio::join!(table.finish(), self.source_is_done(from, &days));
        same_count(tally.rows, stored?)?;
        ended?;
        self.finish_load(to, &days, &mut None).await
    }

    /// Reads ranges in this session as long as any is left, and writes the tuples of all.
    async fn pass_on(
        &self,
        shared: &Shared<'_>,
        from: &Session,
        table: &mut TableCopy,
        mut arriving: mpsc::Receiver<Bytes>,
    ) -> Result<Tally> {
        let day = &shared.day;
        let write = async {
            while let Some(tuples) = arriving.recv().await {
                self.progress.alive();
                table.send(tuples).await?;
            }
            Ok::<_, Error>(())
        };
        let passed = async { tokio::try_join!(self.read_ranges(from, day), write).map(|_| ()) };
        tokio::select! {
            biased;
            passed = passed => passed?,
            // Another worker's range failed.
            () = day.over() => {}
        }
        day.tally()
    }

    /// Reads one range after the other until none is left, in the transaction that `from` is in.
    pub async fn read_ranges(&self, from: &Session, day: &SharedDay) -> Result<()> {
        while let Some((range, tuples)) = day.take() {
            let rows = self.rows_of(from, &self.range_query(range)?).await?;
            let mut intake = self.intake(from).within(range);
            let mut sink = RangeSink(&tuples);
            let tallies = drain(rows, &mut intake, self.progress, &mut sink).await?;
            sink.send(intake.take()).await?;
            for tally in tallies.unwrap_or_default() {
                day.read(tally);
            }
        }
        Ok(())
    }

    fn range_query(&self, range: TimeRange) -> Result<String> {
        let bindings = self.pair.tenant.bindings(self.window);
        self.place.template.bind_range(&bindings, range)
    }

    /// Whether the source's planner expects the ranges to cost about what the day does.
    async fn is_cut_at_little_cost(&self, from: &Session, large: &LargeDay<'_>) -> Result<bool> {
        let ranges = large.ranges.iter().map(|range| self.range_query(*range));
        let queries = std::iter::once(self.query(self.window)).chain(ranges);
        let masks = self.settings.masks.as_ref();
        let explain = |query: Result<String>| -> Result<String> {
            let sql = select_sql(self.place.template, &query?, masks);
            Ok(format!("EXPLAIN (FORMAT JSON) {sql}"))
        };
        let statements: Vec<String> = queries.map(explain).collect::<Result<_>>()?;
        let plans = from.simple_all(&statements.join("; ")).await?;
        let costs: Option<Vec<f64>> = plans.iter().map(total_cost).collect();
        Ok(match costs.as_deref() {
            Some([day, ranges @ ..]) => is_little(*day, ranges.iter().sum(), large.bytes),
            _ => false,
        })
    }
}

/// The planner's estimate in a plan.
fn total_cost(plan: &SimpleRows) -> Option<f64> {
    let plan: serde_json::Value = serde_json::from_str(plan.value(0, 0)?).ok()?;
    plan.get(0)?.get("Plan")?.get("Total Cost")?.as_f64()
}

/// Whether reading a day of so many `bytes` in ranges costs little more than reading it whole. A planner whose statistics
/// are older than the day takes it for a few rows, which it finds by an index.
fn is_little(day: f64, ranges: f64, bytes: u64) -> bool {
    let pages = bytes as f64 / PAGE;
    ranges <= day * WORTHWHILE || day < pages / 4.0
}

/// The snapshot of a transaction at a source, for other sessions to read; `None` where the login may not export it.
async fn export_snapshot(from: &Session) -> Result<Option<Snapshot>> {
    match Snapshot::export(from).await {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(error) if from.is_closed() => Err(error),
        Err(error) => {
            tracing::debug!(%error, "the source exports no snapshot: its days are read whole");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_day_whose_ranges_each_read_the_table_is_read_whole() {
        assert!(is_little(1e6, 4.0 * 0.27e6, GIB));
        assert!(!is_little(1e6, 4.0 * 1e6, GIB));
    }

    #[test]
    fn a_day_that_the_statistics_do_not_know_yet_is_read_in_ranges() {
        assert!(is_little(8.5, 4.0 * 8.5, GIB));
    }

    #[test]
    fn the_cost_of_a_plan_is_found() {
        let plan =
            r#"[{"Plan": {"Node Type": "Seq Scan", "Startup Cost": 0.00, "Total Cost": 35.50}}]"#;
        let rows = |text: &str| SimpleRows {
            columns: vec!["QUERY PLAN".to_owned()],
            rows: vec![vec![Some(text.to_owned())]],
        };
        assert_eq!(total_cost(&rows(plan)), Some(35.5));
        assert_eq!(total_cost(&rows("Seq Scan")), None);
    }
}
