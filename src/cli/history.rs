//! `dayhaul history`: runs and how they ended; for one run, also what failed.

use super::context::Context;
use crate::catalog::runs::history::{self, FailedDays, Filter, RunRecord};
use crate::catalog::runs::run;
use crate::catalog::{Catalog, Selection};
use crate::engine::report::event::Failure;
use crate::error::{Error, Result, exit};
use crate::report::failure;
use crate::report::numbers::{count, counted, seconds, utc};
use crate::report::table::Sheet;
use crate::unit::{TemplateName, TenantName};
use serde_json::{Value, json};

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
    let mut sheet = Sheet::new(&[
        ">run",
        "command",
        "started (UTC)",
        ">took",
        "outcome",
        ">loaded",
        ">changed",
        ">landed",
        ">unchanged",
        ">skipped",
        ">failed",
        ">rows",
        "host",
    ]);
    for run in runs {
        sheet.row([
            run.id.to_string(),
            run.command.clone(),
            utc(run.started_at),
            seconds(run.seconds),
            run.outcome.clone(),
            count(run.counts.loaded),
            count(run.counts.changed),
            count(run.counts.landed),
            run.counts.unchanged.map_or_else(String::new, count),
            run.counts.skipped.map_or_else(String::new, count),
            count(run.counts.failed),
            count(run.counts.rows),
            run.host.clone(),
        ]);
    }
    sheet.render()
}

fn page(run: &RunRecord) -> String {
    let mut facts = Sheet::new(&["run", &run.id.to_string()]);
    let mut fact = |what: &str, value: String| facts.row([what.to_owned(), value]);
    fact("command", format!("dayhaul {}", run.arguments.join(" ")));
    fact("outcome", run.outcome.clone());
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
    let mut units = vec![
        format!("{} loaded", count(counts.loaded)),
        format!("{} changed", count(counts.changed)),
        format!("{} landed", count(counts.landed)),
    ];
    units.extend(counts.unchanged.map(|n| format!("{} unchanged", count(n))));
    units.extend(counts.skipped.map(|n| format!("{} skipped", count(n))));
    units.push(format!("{} failed", count(counts.failed)));
    units.extend(counts.not_tried.map(|n| format!("{} not tried", count(n))));
    fact("units", units.join(", "));
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
        "files": run.counts.files,
        "rows": run.counts.rows,
        "retried": run.retried,
        "cancel_requested_by": request.map(|(who, _)| who),
        "cancel_requested_at": request.map(|(_, at)| at.to_rfc3339()),
    })
}

fn failure_to_json(failed: &FailedDays) -> Value {
    json!({
        "tenant": failed.tenant.as_str(),
        "template": failed.template.as_ref().map(TemplateName::as_str),
        "days": run::inclusive(&failure::merged(&failed.days)),
        "not_tried": failed.not_tried,
        "error": failed.error,
        "hint": failed.hint,
    })
}
