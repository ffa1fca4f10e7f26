//! What the commands that load units have in common: pairs, locks, progress, outcome.

use super::context::Context;
use super::place;
use super::selection::Resolved;
use crate::catalog::{self, Catalog, Pair};
use crate::config::Settings;
use crate::engine::run::request::Request;
use crate::engine::run::{Options, run};
use crate::engine::window::landing::To;
use crate::error::{Error, Result};
use crate::report::{Progress, exit_code, fold, json, summary};
use clap::ValueEnum;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How a run is carried out.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct RunArgs {
    /// Windows loaded at once [default: `load.jobs`]; `load.per_server` limits those of one source server
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,
    /// Wait for a (tenant, template) that another run holds
    #[arg(long)]
    pub(super) wait: bool,
    /// What it means when a (tenant, template) is held by another run
    #[arg(long, value_name = "WHAT", default_value = "fail")]
    pub(super) if_locked: IfLocked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum IfLocked {
    /// Exit code 4 when each is, 1 when some are
    Fail,
    /// No failure: the other run does the work
    Ok,
}

/// Carries out what is asked of a selection, and shows how it went. `to` is where the command line says that rows go.
/// Gives the exit code.
pub(super) async fn carry_out(
    ask: Request,
    resolved: &Resolved,
    args: RunArgs,
    to: Option<To>,
    cancel: CancellationToken,
    context: &Context,
) -> Result<u8> {
    let mut settings = context.settings()?;
    if let Some(jobs) = args.jobs {
        settings.load.jobs = jobs.get();
    }
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
    let options = Options {
        wait: args.wait,
        today: resolved.today,
        to: place::resolve(to, &settings),
    };
    watched(
        &settings,
        (pairs, ask),
        options,
        args.if_locked,
        cancel,
        context,
    )
    .await
}

/// Runs what is asked with progress, and shows how it ended. Gives the exit code.
pub(super) async fn watched(
    settings: &Settings,
    (pairs, ask): (Vec<Pair>, Request),
    options: Options,
    if_locked: IfLocked,
    cancel: CancellationToken,
    context: &Context,
) -> Result<u8> {
    let command = ask.command();
    let progress = Arc::new(Progress::new(context.progress(), ask.verb()));
    let result = run(settings, pairs, ask, options, progress.clone(), cancel).await;
    progress.finish();
    let report = result?;
    if let Some(table) = summary::render(&report) {
        context.print(table);
    }
    if let Some(folds) = fold::pairs_table(&report.folds, false) {
        context.print(folds);
    }
    let exit_code = exit_code(&report, if_locked == IfLocked::Ok);
    context.print_json(&json::Run::new(command, &report, exit_code));
    context.failures(&report);
    context.cancelled(report.run, report.cancelled_by.as_deref());
    Ok(exit_code)
}
