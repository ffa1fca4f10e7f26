//! `dayhaul backfill`: days that the warehouse does not have yet.

use super::context::Context;
use super::selection::SelectionArgs;
use super::signals::cancelled_by_signals;
use crate::catalog::{self, Catalog, Pair};
use crate::config::Settings;
use crate::engine::backfill::{Backfill, backfill};
use crate::engine::event::RunReport;
use crate::error::{Error, Result, exit};
use crate::report::{Progress, RunOutcome, json, summary};
use clap::ValueEnum;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Load days again that the ledger has already
    #[arg(long)]
    reload: bool,
    /// Wait for a (tenant, template) that another run holds
    #[arg(long)]
    wait: bool,
    /// What it means when every (tenant, template) is held by another run
    #[arg(long, value_name = "WHAT", default_value = "fail")]
    if_locked: IfLocked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IfLocked {
    /// Exit code 4
    Fail,
    /// Exit code 0: the other run does the work
    Ok,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let settings = context.settings()?;
    let (resolved, days) = args.selection.resolve_with_days()?;
    if let Some(note) = &resolved.note {
        context.note(note);
    }
    let catalog = Catalog::open(&settings).await?;
    let pairs = catalog::pairs(catalog.session(), &resolved.selection).await?;
    drop(catalog);
    if pairs.is_empty() {
        return Err(Error::refused("no template is enabled for any tenant")
            .with_hint("enable one with `dayhaul tenant enable T --template X`"));
    }
    let asked = Backfill {
        days,
        reload: args.reload,
        wait: args.wait,
        today: resolved.today,
    };
    let report = load(&settings, pairs, &asked, cancelled_by_signals(), context).await?;
    Ok(match RunOutcome::of(&report) {
        RunOutcome::Locked if args.if_locked == IfLocked::Ok => exit::OK,
        outcome => outcome.exit_code(),
    })
}

/// Runs a backfill with progress, and shows how it ended.
pub(super) async fn load(
    settings: &Settings,
    pairs: Vec<Pair>,
    asked: &Backfill,
    cancel: CancellationToken,
    context: &Context,
) -> Result<RunReport> {
    let progress = Arc::new(Progress::new(context.progress()));
    let result = backfill(settings, pairs, asked, progress.clone(), cancel).await;
    progress.finish();
    let report = result?;
    context.print(summary::render(&report));
    context.print_json(&json::Run::new("backfill", &report));
    context.failures(&report);
    if let (Some(run), Some(who)) = (report.run, &report.cancelled_by) {
        context.note(format!("run {run} was cancelled by {who}"));
    }
    Ok(report)
}
