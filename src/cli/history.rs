//! `dayhaul history`: runs, what they were for and how they ended; for one run, also what failed.

use super::context::Context;
use crate::catalog::runs::history::{self, Counts, FailedDays, Filter, RunRecord};
use crate::catalog::runs::run::Progress;
use crate::catalog::runs::selected::{self, SelectedPair, inclusive};
use crate::catalog::{Catalog, Selection};
use crate::engine::report::event::Failure;
use crate::error::{Error, Result, exit};
use crate::report::failure;
use crate::report::numbers::{count, counted, seconds, utc, utc_minute};
use crate::report::selection;
use crate::report::table::{Sheet, cut};
use crate::unit::{TemplateName, TenantName};
use serde_json::{Value, json};
use std::fmt::Write as _;

const HEADINGS: [&str; 8] = [
    ">run",
    "command",
    "for",
    "started (UTC)",
    ">took",
    "outcome",
    ">rows",
    "units",
];
const COMMAND: usize = 1;

/// How wide the list is: its commands are cut to what the other columns leave of it, but not to less than the least.
const LIST_WIDTH: usize = 120;
const LEAST_COMMAND_WIDTH: usize = 20;
const SELECTION_WIDTH: usize = 26;

const EXAMPLES: &str = "\
Examples:
  dayhaul history
  dayhaul history 17                    one run, with its failures
  dayhaul history --failed --tenant acme --last 5";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Show one run, with what failed
    #[arg(value_name = "RUN", conflicts_with_all = ["last", "tenants", "templates", "failed"])]
    run: Option<i64>,
    /// Show the newest N runs
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        help_heading = "Selection"
    )]
    last: u32,
    /// Only runs that were started for this tenant (repeatable)
    #[arg(long = "tenant", value_name = "T", help_heading = "Selection")]
    tenants: Vec<TenantName>,
    /// Only runs that were started for this template (repeatable)
    #[arg(long = "template", value_name = "X", help_heading = "Selection")]
    templates: Vec<TemplateName>,
    /// Only runs with failures, and runs that died
    #[arg(long, help_heading = "Selection")]
    failed: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let catalog = Catalog::open(&context.settings()?).await?;
    match args.run {
        Some(id) => one(&catalog, id, context).await,
        None => {
            let filter = Filter {
                selection: Selection {
                    tenants: args.tenants,
                    templates: args.templates,
                },
                failed: args.failed,
                last: args.last,
            };
            list(&catalog, &filter, context).await
        }
    }
}

async fn list(catalog: &Catalog, filter: &Filter, context: &Context) -> Result<u8> {
    let runs = history::list(catalog.session(), filter).await?;
    if runs.is_empty() {
        context.note("no runs found");
    } else {
        context.print(table(&runs));
    }
    let runs: Vec<Value> = runs.iter().map(to_json).collect();
    context.print_json(&json!({"schema": "dayhaul.history/1", "runs": runs}));
    Ok(exit::OK)
}

async fn one(catalog: &Catalog, id: i64, context: &Context) -> Result<u8> {
    let run = history::get(catalog.session(), id).await?;
    let failures = history::failures(catalog.session(), id).await?;
    context.print(page(&run));
    if !failures.is_empty() {
        let failures: Vec<Failure> = failures.iter().map(as_reported).collect();
        context.print(format!(
            "\n{}",
            failure::render_all_days(&failures, context.show_values).trim_end()
        ));
    }
    let mut value = to_json(&run);
    value["failures"] = failures.iter().map(failure_to_json).collect();
    context.print_json(&json!({"schema": "dayhaul.history/1", "runs": [value]}));
    Ok(exit::OK)
}

fn table(runs: &[RunRecord]) -> String {
    let rows: Vec<[String; 8]> = runs.iter().map(cells).collect();
    let room = room_for_command(&rows);
    let mut sheet = Sheet::new(&HEADINGS);
    for mut row in rows {
        row[COMMAND] = cut(&row[COMMAND], room);
        sheet.row(row);
    }
    sheet.render()
}

fn cells(run: &RunRecord) -> [String; 8] {
    let pairs = run.selection.as_deref().unwrap_or_default();
    [
        run.id.to_string(),
        as_typed(run),
        selection::in_short(pairs, SELECTION_WIDTH),
        utc_minute(run.started_at),
        seconds(run.seconds),
        run.outcome.clone(),
        count(run.counts.rows),
        so_far(run).unwrap_or_else(|| units(&run.counts, false)),
    ]
}

/// What the other columns leave.
fn room_for_command(rows: &[[String; 8]]) -> usize {
    let width = |column: usize| {
        let heading = HEADINGS[column].trim_start_matches('>');
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(heading.len())
    };
    let others = (0..HEADINGS.len()).filter(|column| *column != COMMAND);
    let taken: usize = others.map(|column| width(column) + 2).sum();
    LIST_WIDTH.saturating_sub(taken).max(LEAST_COMMAND_WIDTH)
}

/// `120 of 366, 2 failed`: how far a run is, or was when it died.
fn so_far(run: &RunRecord) -> Option<String> {
    let Progress { planned, done } = run.progress?;
    let mut text = format!("{} of {}", count(done), count(planned));
    if run.counts.failed > 0 {
        let _ = write!(text, ", {} failed", count(run.counts.failed));
    }
    Some(text)
}

/// The command line from the command's name on: what is before it says where, not what.
fn as_typed(run: &RunRecord) -> String {
    let named = run.arguments.iter().position(|word| *word == run.command);
    run.arguments[named.unwrap_or(0)..].join(" ")
}

/// `19 loaded, 1 failed`: the units by how they ended; with the zeros that are known when `all`.
fn units(counts: &Counts, all: bool) -> String {
    let ends = [
        (Some(counts.loaded), "loaded"),
        (Some(counts.changed), "changed"),
        (Some(counts.landed), "landed"),
        (counts.moved, "moved"),
        (counts.unchanged, "unchanged"),
        (counts.skipped, "skipped"),
        (Some(counts.failed), "failed"),
        (counts.not_tried, "not tried"),
    ];
    let known = ends.into_iter().filter_map(|(n, how)| Some((n?, how)));
    let parts: Vec<String> = known
        .filter(|(n, _)| all || *n > 0)
        .map(|(n, how)| format!("{} {how}", count(n)))
        .collect();
    parts.join(", ")
}

fn page(run: &RunRecord) -> String {
    let lines = selection::lines(run.selection.as_deref().unwrap_or_default());
    let mut facts = Sheet::new(&["run", &run.id.to_string()]);
    let mut fact = |what: &str, value: String| facts.row([what.to_owned(), value]);
    fact("command", format!("dayhaul {}", run.arguments.join(" ")));
    for (n, line) in lines.into_iter().enumerate() {
        let what = if n == 0 { "for" } else { "" };
        fact(what, line);
    }
    fact("outcome", run.outcome.clone());
    if let Some(Progress { planned, done }) = run.progress {
        let planned = counted(planned, "unit");
        fact("progress", format!("{} of {planned}", count(done)));
    }
    fact("host", format!("{}, pid {}", run.host, run.pid));
    fact("dayhaul", run.version.clone());
    fact("started", format!("{} UTC", utc(run.started_at)));
    match run.ended_at {
        Some(at) if run.outcome != "died" => fact("ended", format!("{} UTC", utc(at))),
        _ => fact("last heartbeat", format!("{} UTC", utc(run.heartbeat_at))),
    }
    fact("took", seconds(run.seconds));
    if let Some((who, at)) = &run.cancel_requested {
        fact("cancel requested", format!("by {who} at {} UTC", utc(*at)));
    }
    let counts = run.counts;
    fact("units", units(&counts, true));
    fact("retried", counted(run.retried, "unit"));
    fact("rows", count(counts.rows));
    if let Some(files) = counts.files.filter(|files| *files > 0) {
        fact("files written", count(files));
    }
    facts.render()
}

/// As the run itself reported it.
fn as_reported(failed: &FailedDays) -> Failure {
    let mut error = Error::refused(failed.error.clone());
    if let Some(hint) = &failed.hint {
        error = error.with_hint(hint.clone());
    }
    Failure {
        tenant: failed.tenant.clone(),
        template: failed.template.clone(),
        windows: failed.days.clone(),
        error,
        not_tried: failed.not_tried,
    }
}

fn to_json(run: &RunRecord) -> Value {
    let request = run.cancel_requested.as_ref();
    json!({
        "run": run.id,
        "command": run.command,
        "arguments": run.arguments,
        "selection": run.selection.as_deref().map(selection_to_json),
        "host": run.host,
        "pid": run.pid,
        "version": run.version,
        "outcome": run.outcome,
        "started_at": run.started_at.to_rfc3339(),
        "heartbeat_at": run.heartbeat_at.to_rfc3339(),
        "ended_at": run.ended_at.map(|at| at.to_rfc3339()),
        "seconds": run.seconds,
        "loaded": run.counts.loaded,
        "changed": run.counts.changed,
        "landed": run.counts.landed,
        "unchanged": run.counts.unchanged,
        "skipped": run.counts.skipped,
        "failed": run.counts.failed,
        "not_tried": run.counts.not_tried,
        "moved": run.counts.moved,
        "files": run.counts.files,
        "rows": run.counts.rows,
        "progress": run.progress.map(|p| json!({"planned": p.planned, "done": p.done})),
        "retried": run.retried,
        "cancel_requested_by": request.map(|(who, _)| who),
        "cancel_requested_at": request.map(|(_, at)| at.to_rfc3339()),
    })
}

fn selection_to_json(pairs: &[SelectedPair]) -> Value {
    let pairs = pairs.iter();
    pairs
        .map(|pair| selected::to_json(&pair.tenant, &pair.template, &pair.days))
        .collect()
}

fn failure_to_json(failed: &FailedDays) -> Value {
    json!({
        "tenant": failed.tenant.as_str(),
        "template": failed.template.as_ref().map(TemplateName::as_str),
        "days": inclusive(&failure::merged(&failed.days)),
        "not_tried": failed.not_tried,
        "error": failed.error,
        "hint": failed.hint,
    })
}
