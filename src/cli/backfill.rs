//! `dayhaul backfill`: days that the warehouse does not have yet.

use super::context::Context;
use super::selection::SelectionArgs;
use super::signals::cancelled_by_signals;
use crate::catalog::{self, Catalog};
use crate::engine::backfill::{Backfill, backfill};
use crate::engine::event::{Outcome, Silent};
use crate::error::{Result, exit};
use clap::ValueEnum;
use std::sync::Arc;

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
    let asked = Backfill {
        days,
        reload: args.reload,
        wait: args.wait,
        today: resolved.today,
    };
    let report = backfill(
        &settings,
        pairs,
        &asked,
        Arc::new(Silent),
        cancelled_by_signals(),
    )
    .await?;
    for failure in &report.failures {
        context.error(&failure.error);
    }
    let count = |o| report.units.iter().filter(|u| u.outcome == o).count();
    context.print(format!(
        "loaded {} skipped {} failed {} not tried {} rows {} in {:?}",
        count(Outcome::Loaded),
        count(Outcome::Skipped),
        count(Outcome::Failed),
        count(Outcome::NotTried),
        report.units.iter().map(|u| u.rows).sum::<u64>(),
        report.elapsed
    ));
    let _ = args.if_locked;
    Ok(if report.failures.is_empty() {
        exit::OK
    } else {
        exit::FAILED
    })
}
