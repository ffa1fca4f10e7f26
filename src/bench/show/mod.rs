//! What people see of a report: a table on the terminal, `bench.md`, `bench.html`; and `bench.json` for programs.

mod bars;
mod cells;
mod html;
mod markdown;
mod terminal;

use super::result::{Report, Scored, Standing};
use crate::error::{Error, Kind, Result};
use crate::report::numbers::{count, seconds};
use std::path::Path;

pub use terminal::{scenario, summary};

/// Writes `bench.json`, `bench.md` and `bench.html` into a folder.
///
/// # Errors
/// A file cannot be written.
pub fn write(report: &Report, folder: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report)
        .map_err(|e| Error::new(Kind::Bug, "the report is no JSON").with_source(e))?;
    for (name, text) in [
        ("bench.json", json + "\n"),
        ("bench.md", markdown::render(report)),
        ("bench.html", html::render(report)),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|e| {
            Error::new(Kind::Io, format!("cannot write `{}`", path.display())).with_source(e)
        })?;
    }
    Ok(())
}

/// Makes the folder and tries to write there, so that a bad path fails before the work.
///
/// # Errors
/// It cannot be made or written.
pub fn try_folder(folder: &Path) -> Result<()> {
    let failed = |e| {
        Error::new(
            Kind::Io,
            format!("cannot write into `{}`", folder.display()),
        )
        .with_source(e)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let probe = folder.join(".bench");
    std::fs::write(&probe, "").map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)
}

/// Milliseconds where seconds would be all zeros.
fn time(s: f64) -> String {
    match s {
        s if s < 0.001 => format!("{:.3} ms", s * 1000.0),
        s if s < 0.1 => format!("{:.1} ms", s * 1000.0),
        s => seconds(s),
    }
}

/// `0.49`, `0.012`.
fn ratio(r: f64) -> String {
    match r {
        r if r < 0.1 => format!("{r:.3}"),
        r if r < 10.0 => format!("{r:.2}"),
        r => format!("{r:.0}"),
    }
}

/// Whether it is Dayhaul, in whatever mood.
fn is_ours(standing: &Standing) -> bool {
    standing.contestant.starts_with("dayhaul")
}

/// The groups of a scenario, in order.
fn groups(scored: &Scored) -> Vec<(&str, Vec<&Standing>)> {
    let mut groups: Vec<(&str, Vec<&Standing>)> = Vec::new();
    for standing in &scored.entrants {
        match groups.iter_mut().find(|(name, _)| *name == standing.group) {
            Some((_, members)) => members.push(standing),
            None => groups.push((&standing.group, vec![standing])),
        }
    }
    groups
}

/// Who is faster, by how much: a sentence per group.
fn headlines(scored: &Scored) -> Vec<String> {
    groups(scored)
        .into_iter()
        .filter_map(|(group, members)| {
            let sentence = match scored.per_unit {
                true => growth(&members),
                false => duel(&members),
            }?;
            Some(match group {
                "" => sentence,
                group => format!("{group}: {sentence}"),
            })
        })
        .collect()
}

/// The first of ours against the baseline.
fn duel(members: &[&Standing]) -> Option<String> {
    let baseline = members.iter().find(|e| e.baseline)?;
    let ours = members.iter().find(|e| is_ours(e) && !e.baseline)?;
    let (theirs, mine) = (baseline.median?, ours.median?);
    let how = match theirs / mine {
        r if r >= 1.05 => format!("{} times as fast", ratio(r)),
        r if r <= 0.95 => format!("{} times as slow", ratio(1.0 / r)),
        _ => "the same, within 5 %".to_owned(),
    };
    let also: String = [("wal_bytes", "WAL"), ("locks", "locks")]
        .into_iter()
        .filter_map(|(key, name)| {
            let ratio_to = ours.also.get(key)?.ratio?;
            Some(format!("; {name}: {} of the other's", ratio(ratio_to)))
        })
        .collect();
    Some(format!(
        "{how}: {} instead of {} ({}, not {}){also}",
        time(mine),
        time(theirs),
        ours.title,
        baseline.title
    ))
}

/// The largest share against the smallest.
fn growth(members: &[&Standing]) -> Option<String> {
    let largest = members.iter().rev().find(|e| e.ratio.is_some())?;
    Some(format!(
        "the largest ({}) takes {} of the smallest's time per tenant and day",
        largest.title,
        ratio(largest.ratio?)
    ))
}

/// What was hauled, in a sentence.
fn data(report: &Report) -> String {
    let data = &report.data;
    let rows = match data.rows_per_day {
        Some(rows) => format!("about {} rows a day", count(rows)),
        None => "a tenant's own rows".to_owned(),
    };
    format!(
        "{} days, {} … {}, of template `{}`: {rows}, {} columns, {} indexes",
        data.days, data.from, data.to, data.template, data.columns, data.indexes
    )
}

/// The machine, the versions, the settings: name and value.
fn circumstances(report: &Report) -> Vec<(String, String)> {
    let machine = &report.machine;
    let build = if machine.debug_build {
        ", a debug build"
    } else {
        ""
    };
    let memory = machine.memory.map_or_else(String::new, |bytes| {
        format!(", {}", crate::report::numbers::bytes(bytes))
    });
    let servers = &report.servers;
    let settings = |server: &super::machine::Server| {
        let pairs: Vec<String> = server
            .settings
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        pairs.join(", ")
    };
    let mut rows = vec![
        ("when".to_owned(), report.started_at.clone()),
        ("where".to_owned(), report.place.clone()),
        (
            "machine".to_owned(),
            format!(
                "{}, {} cores{memory}, {}",
                machine.cpu, machine.cores, machine.system
            ),
        ),
        ("dayhaul".to_owned(), format!("{}{build}", machine.dayhaul)),
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
                "{}, order rotated; medians, with the least and the most",
                report.repeat
            ),
        ),
        ("jobs".to_owned(), report.jobs.to_string()),
    ];
    if let Some(ms) = report.latency_ms {
        rows.push(("round trip to the tenants".to_owned(), format!("{ms} ms")));
    }
    rows.push((
        "warehouse's settings".to_owned(),
        settings(&servers.warehouse),
    ));
    if servers.sources.settings != servers.warehouse.settings {
        rows.push(("tenants' settings".to_owned(), settings(&servers.sources)));
    }
    rows
}

/// Said wherever figures of a debug build are shown.
const DEBUG_BUILD: &str = "Dayhaul was built without optimisation: its figures say nothing. Build it with `cargo build --release`.";

/// What the columns mean.
const LEGEND: &str = "A ratio is a median divided by the baseline's (below 1 is faster); the baseline is the line without \
    one. The limit is what PostgreSQL itself needs with every core busy: COPY OUT, COPY IN, and indexes with ANALYZE and \
    CHECK, one after the other. A figure stands only where the rows, read back, had the number and digest of those at the \
    source. Server CPU is of both servers together, background processes included.";
