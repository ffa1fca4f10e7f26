//! What a try costs: wall time, CPU time of both servers, WAL, and CPU time and memory of child processes.

mod clients;
pub mod process;
pub mod server_cpu;

use super::environment::{Monitors, Postmasters};
use crate::error::{Kind, Result};
use crate::pg::Session;
use clients::ClientCounts;
use serde::Serialize;
use server_cpu::server_cpu_seconds;
use std::collections::BTreeMap;
use std::time::Instant;

/// One measured try, in seconds and bytes. Values that are not available are null.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Measurement {
    pub seconds: f64,
    pub rows: u64,
    pub digest: String,
    /// User and system time of the sources' server, including background processes.
    pub source_cpu: Option<f64>,
    pub warehouse_cpu: Option<f64>,
    /// Written by the warehouse.
    pub wal_bytes: Option<u64>,
    /// User and system time of the contestant's processes; null where it runs inside the servers.
    pub own_cpu: Option<f64>,
    /// Peak resident memory of the largest of these processes.
    pub own_peak: Option<u64>,
    /// Metrics that only some scenarios have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<&'static str, f64>,
}

/// CPU time and peak memory of child processes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessUsage {
    /// Seconds of user and system time.
    pub cpu: f64,
    /// Bytes.
    pub peak: u64,
}

impl ProcessUsage {
    pub fn add(&mut self, other: ProcessUsage) {
        self.cpu += other.cpu;
        self.peak = self.peak.max(other.peak);
    }
}

/// What a contestant measured itself.
#[derive(Debug, Clone, Default)]
pub struct ContestantUsage {
    pub own: Option<ProcessUsage>,
    /// Replaces the measured wall time where only a part of the work is timed. The servers' counters are then left out,
    /// as they cover all of the work.
    pub seconds: Option<f64>,
    pub more: BTreeMap<&'static str, f64>,
}

impl From<ProcessUsage> for ContestantUsage {
    fn from(own: ProcessUsage) -> ContestantUsage {
        ContestantUsage {
            own: Some(own),
            ..ContestantUsage::default()
        }
    }
}

/// Reads the servers' counters before and after the work.
pub struct ServerMeter<'a> {
    pub monitors: &'a Monitors,
    pub postmasters: Postmasters,
    /// No other clients use the servers, so their counters are the contestant's.
    pub is_private: bool,
}

/// The counters at one moment.
struct Reading {
    source_cpu: Option<f64>,
    warehouse_cpu: Option<f64>,
    wal: Option<u64>,
    source_clients: ClientCounts,
    warehouse_clients: ClientCounts,
}

impl ServerMeter<'_> {
    /// Measures `work`.
    ///
    /// # Errors
    /// Those of `work`, or a server fails.
    pub async fn measure(
        &self,
        work: impl Future<Output = Result<ContestantUsage>>,
    ) -> Result<Measurement> {
        if self.is_private {
            clients::reset(&self.monitors.sources).await?;
            clients::reset(&self.monitors.warehouse).await?;
        }
        let before = self.read().await?;
        let started = Instant::now();
        let mut used = work.await?;
        let seconds = started.elapsed().as_secs_f64();
        if let Some(seconds) = used.seconds {
            return Ok(Measurement {
                seconds,
                more: used.more,
                ..Measurement::default()
            });
        }
        let after = self.read().await?;
        let spent = |before: Option<f64>, after: Option<f64>| Some((after? - before?).max(0.0));
        let (source, warehouse) = (
            after.source_clients.since(before.source_clients),
            after.warehouse_clients.since(before.warehouse_clients),
        );
        let counts = [
            ("source_connections", source.connections),
            ("source_statements", source.statements),
            ("warehouse_connections", warehouse.connections),
            ("warehouse_statements", warehouse.statements),
        ];
        used.more
            .extend(counts.into_iter().filter_map(|(name, n)| Some((name, n?))));
        Ok(Measurement {
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
            ..Measurement::default()
        })
    }

    async fn read(&self) -> Result<Reading> {
        let (sources, warehouse) = (&self.monitors.sources, &self.monitors.warehouse);
        let (source_clients, warehouse_clients) = match self.is_private {
            true => (
                ClientCounts::read(sources).await?,
                ClientCounts::read(warehouse).await?,
            ),
            false => Default::default(),
        };
        Ok(Reading {
            source_clients,
            warehouse_clients,
            wal: wal_position(warehouse).await?,
            source_cpu: self.postmasters.sources.and_then(server_cpu_seconds),
            warehouse_cpu: self.postmasters.warehouse.and_then(server_cpu_seconds),
        })
    }
}

/// The WAL position in bytes; `None` where the login may not read it.
async fn wal_position(session: &Session) -> Result<Option<u64>> {
    let position = session
        .simple("SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint")
        .await;
    match position {
        Ok(found) => Ok(found.value(0, 0).and_then(|n| n.parse().ok())),
        Err(error) if error.kind() == Kind::Connect => Err(error),
        Err(_) => Ok(None),
    }
}
