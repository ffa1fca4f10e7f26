//! The texts that all outputs of a bench share.

use crate::bench::machine::{Machine, ServerInfo};
use crate::bench::result::{BenchReport, EntrantResult, ScenarioResult};
use crate::bench::scenario::ExtraMetric;
use crate::report::numbers::{bytes, count, counted, seconds};

/// Short times are shown in milliseconds.
pub(super) fn time(s: f64) -> String {
    match s {
        s if s < 0.001 => format!("{:.3} ms", s * 1000.0),
        s if s < 0.1 => format!("{:.1} ms", s * 1000.0),
        s => seconds(s),
    }
}

/// `0.49`, `0.012`.
pub(super) fn ratio(r: f64) -> String {
    match r {
        r if r < 0.1 => format!("{r:.3}"),
        r if r < 10.0 => format!("{r:.2}"),
        r => format!("{r:.0}"),
    }
}

/// Whether the entrant is a variant of Dayhaul.
pub(super) fn is_dayhaul(entrant: &EntrantResult) -> bool {
    entrant.contestant.starts_with("dayhaul")
}

/// The groups of a scenario, in order.
pub(super) fn groups(results: &ScenarioResult) -> Vec<(&str, Vec<&EntrantResult>)> {
    let mut groups: Vec<(&str, Vec<&EntrantResult>)> = Vec::new();
    for entrant in &results.entrants {
        match groups.iter_mut().find(|(name, _)| *name == entrant.group) {
            Some((_, members)) => members.push(entrant),
            None => groups.push((&entrant.group, vec![entrant])),
        }
    }
    groups
}

/// One sentence per group: which entrant is faster, and by how much.
pub(super) fn headlines(results: &ScenarioResult) -> Vec<String> {
    groups(results)
        .into_iter()
        .filter_map(|(group, members)| {
            let sentence = if results.per_unit {
                growth(&members)
            } else {
                speedup(&members)
            }?;
            Some(match group {
                "" => sentence,
                group => format!("{group}: {sentence}"),
            })
        })
        .collect()
}

/// The first Dayhaul entrant compared with the baseline.
fn speedup(members: &[&EntrantResult]) -> Option<String> {
    let baseline = members.iter().find(|e| e.baseline)?;
    let dayhaul = members.iter().find(|e| is_dayhaul(e) && !e.baseline)?;
    let (before, now) = (baseline.median?, dayhaul.median?);
    let how = match before / now {
        r if r >= 1.05 => format!("{} times as fast", ratio(r)),
        r if r <= 0.95 => format!("{} times as slow", ratio(1.0 / r)),
        _ => "the same, within 5 %".to_owned(),
    };
    let also: String = [(ExtraMetric::Wal, "WAL"), (ExtraMetric::Locks, "locks")]
        .into_iter()
        .filter_map(|(metric, name)| {
            let to_baseline = dayhaul.also.get(&metric)?.ratio?;
            Some(format!(
                "; {name}: {} times the baseline's",
                ratio(to_baseline)
            ))
        })
        .collect();
    Some(format!(
        "{how}: {} instead of {} ({}, not {}){also}",
        time(now),
        time(before),
        dayhaul.title,
        baseline.title
    ))
}

/// The largest share compared with the smallest.
fn growth(members: &[&EntrantResult]) -> Option<String> {
    let largest = members.iter().rev().find(|e| e.ratio.is_some())?;
    Some(format!(
        "the largest ({}) takes {} times the time of the smallest per tenant and day",
        largest.title,
        ratio(largest.ratio?)
    ))
}

/// What was loaded, in one sentence.
fn data(report: &BenchReport) -> String {
    let data = &report.data;
    let rows = match data.rows_per_day {
        Some(rows) => format!("about {} rows a day", count(rows)),
        None => "the tenant's rows".to_owned(),
    };
    format!(
        "{}, {} … {}, of template `{}`: {rows}, {}, {} {}",
        counted(data.days as u64, "day"),
        data.from,
        data.to,
        data.template,
        counted(data.columns as u64, "column"),
        data.indexes,
        if data.indexes == 1 {
            "index"
        } else {
            "indexes"
        }
    )
}

/// Machine, versions and settings, as names and values.
pub(super) fn environment(report: &BenchReport) -> Vec<(String, String)> {
    let servers = &report.servers;
    let mut rows = vec![
        ("when".to_owned(), report.started_at.clone()),
        ("where".to_owned(), report.place.clone()),
        ("machine".to_owned(), machine(&report.machine)),
        ("dayhaul".to_owned(), version(&report.machine)),
        (
            "PostgreSQL".to_owned(),
            format!(
                "tenants {}, warehouse {}",
                servers.sources.version, servers.warehouse.version
            ),
        ),
        ("data".to_owned(), data(report)),
        (
            "repetitions".to_owned(),
            format!(
                "{}, in rotating order; medians, with the least and the most",
                report.repeat
            ),
        ),
        ("jobs".to_owned(), report.jobs.to_string()),
    ];
    if let Some(ms) = report.latency_ms {
        rows.push((
            "round trip to the tenants".to_owned(),
            format!("{ms} ms added"),
        ));
    }
    rows.push((
        "warehouse settings".to_owned(),
        settings(&servers.warehouse),
    ));
    if servers.sources.settings != servers.warehouse.settings {
        rows.push(("tenant settings".to_owned(), settings(&servers.sources)));
    }
    rows
}

fn machine(machine: &Machine) -> String {
    let memory = machine
        .memory
        .map_or_else(String::new, |n| format!(", {}", bytes(n)));
    let cores = counted(machine.cores as u64, "core");
    format!("{}, {cores}{memory}, {}", machine.cpu, machine.system)
}

fn version(machine: &Machine) -> String {
    let build = if machine.debug_build {
        ", a debug build"
    } else {
        ""
    };
    format!("{}{build}", machine.dayhaul)
}

fn settings(server: &ServerInfo) -> String {
    let pairs: Vec<String> = server
        .settings
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    pairs.join(", ")
}

/// Shown with every figure of a debug build.
pub(super) const DEBUG_BUILD: &str = "Dayhaul was built without optimization, so its figures are meaningless. Build it with `cargo build --release`.";

/// What the columns mean.
pub(super) const LEGEND: &str = "A ratio is a median divided by the baseline's (below 1 is faster); the baseline is the row without one. \
    The limit is what PostgreSQL itself needs with every core busy: COPY OUT, COPY IN, and indexes with ANALYZE and CHECK, \
    one after the other. There is a figure only where the rows, read back, had the same count and digest as those at the \
    source. Server CPU is the total of both servers, including background processes.";
