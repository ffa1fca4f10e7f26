//! What a try costs: wall time, CPU time of both servers, WAL, and CPU time and memory of a process of our own.

pub mod child;
pub mod server;

use crate::error::{Kind, Result};
use crate::pg::Session;
use serde::Serialize;
use server::CpuOf;
use std::collections::BTreeMap;
use std::time::Instant;

/// One measured try. Times are seconds, sizes bytes; null is what cannot be known here.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Try {
    pub seconds: f64,
    pub rows: u64,
    pub digest: String,
    /// User and system time of the source's server, its background processes included.
    pub source_cpu: Option<f64>,
    pub warehouse_cpu: Option<f64>,
    /// Of the warehouse.
    pub wal_bytes: Option<u64>,
    /// User and system time of the contestant's own processes; null where it runs inside the servers.
    pub own_cpu: Option<f64>,
    /// Peak resident memory of the largest of them.
    pub own_peak: Option<u64>,
    /// What only some scenarios look at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<&'static str, f64>,
}

/// CPU time and peak memory of processes of our own.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Own {
    /// Seconds of user and system time.
    pub cpu: f64,
    /// Bytes.
    pub peak: u64,
}

impl Own {
    pub fn add(&mut self, other: Own) {
        self.cpu += other.cpu;
        self.peak = self.peak.max(other.peak);
    }
}

/// What a contestant says of its own work.
#[derive(Debug, Clone, Default)]
pub struct Used {
    pub own: Option<Own>,
    /// Where only a part of what ran is to be timed; what the servers spent on that part alone nobody knows.
    pub seconds: Option<f64>,
    pub more: BTreeMap<&'static str, f64>,
}

impl From<Own> for Used {
    fn from(own: Own) -> Used {
        Used {
            own: Some(own),
            ..Used::default()
        }
    }
}

/// Looks at the servers before and after.
pub struct Meter<'a> {
    /// Any session on the warehouse's server.
    pub warehouse: &'a Session,
    /// Any session on the sources' server.
    pub sources: &'a Session,
    /// Postmasters, where they are ours.
    pub source_pid: Option<u32>,
    pub warehouse_pid: Option<u32>,
}

struct Reading {
    source_cpu: Option<f64>,
    warehouse_cpu: Option<f64>,
    wal: Option<u64>,
    source_statements: Option<f64>,
    warehouse_statements: Option<f64>,
}

impl Meter<'_> {
    /// Times `work`.
    ///
    /// # Errors
    /// Those of `work`; the warehouse's.
    pub async fn measure(&self, work: impl Future<Output = Result<Used>>) -> Result<Try> {
        let before = self.read().await?;
        let started = Instant::now();
        let mut used = work.await?;
        let seconds = started.elapsed().as_secs_f64();
        if let Some(seconds) = used.seconds {
            return Ok(Try {
                seconds,
                more: used.more,
                ..Try::default()
            });
        }
        let after = self.read().await?;
        let spent = |before: Option<f64>, after: Option<f64>| Some((after? - before?).max(0.0));
        for (name, before, after) in [
            (
                "source_statements",
                before.source_statements,
                after.source_statements,
            ),
            (
                "warehouse_statements",
                before.warehouse_statements,
                after.warehouse_statements,
            ),
        ] {
            used.more.extend(spent(before, after).map(|n| (name, n)));
        }
        Ok(Try {
            seconds,
            source_cpu: spent(before.source_cpu, after.source_cpu),
            warehouse_cpu: spent(before.warehouse_cpu, after.warehouse_cpu),
            wal_bytes: before
                .wal
                .zip(after.wal)
                .map(|(before, after)| after.saturating_sub(before)),
            own_cpu: used.own.map(|own| own.cpu),
            own_peak: used.own.map(|own| own.peak),
            more: used.more,
            ..Try::default()
        })
    }

    async fn read(&self) -> Result<Reading> {
        Ok(Reading {
            wal: wal_position(self.warehouse).await?,
            source_statements: statements(self.sources).await?,
            warehouse_statements: statements(self.warehouse).await?,
            source_cpu: self.source_pid.and_then(|pid| CpuOf::server(pid).seconds()),
            warehouse_cpu: self
                .warehouse_pid
                .and_then(|pid| CpuOf::server(pid).seconds()),
        })
    }
}

/// Bytes of WAL ever written; `None` where the login may not know.
async fn wal_position(session: &Session) -> Result<Option<u64>> {
    let asked = session
        .simple("SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint")
        .await;
    match asked {
        Ok(found) => Ok(found.value(0, 0).and_then(|n| n.parse().ok())),
        Err(error) if error.kind() == Kind::Connect => Err(error),
        Err(_) => Ok(None),
    }
}

/// Statements in other databases than the session's own, ever; `None` where nobody counts them.
async fn statements(session: &Session) -> Result<Option<f64>> {
    let counted = session
        .simple("SELECT to_regclass('public.pg_stat_statements') IS NOT NULL")
        .await?;
    if counted.value(0, 0) != Some("t") {
        return Ok(None);
    }
    let found = session
        .simple(
            "SELECT coalesce(sum(calls), 0) FROM public.pg_stat_statements \
             WHERE dbid <> (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .await?;
    Ok(found.value(0, 0).and_then(|n| n.parse().ok()))
}
