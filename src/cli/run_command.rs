//! What the commands that load units have in common: pairs, locks, progress, outcome.

use super::context::Context;
use super::selection::{Resolved, enabled_pairs};
use super::shard::ShardArgs;
use crate::catalog::{Catalog, Pair};
use crate::config::Settings;
use crate::engine::locks::held_pairs::HeldPairs;
use crate::engine::run::request::Request;
use crate::engine::run::{Options, run};
use crate::engine::window::landing::To;
use crate::error::Result;
use crate::report::{exit_code, fold, run_json, run_table};
use clap::ValueEnum;
use std::num::NonZeroUsize;

/// How a run is done.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct RunArgs {
    /// Windows loaded at once [default: `load.jobs`]; `load.per_server` limits those of one source server
    #[arg(long, value_name = "N", help_heading = "Options")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    locks: LockArgs,
}

/// What to do about pairs that other runs have locked.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Locks")]
pub(super) struct LockArgs {
    /// Wait for pairs locked by another run
    #[arg(long)]
    wait: bool,
    /// How to treat pairs locked by another run
    #[arg(long, value_name = "WHAT", default_value = "fail")]
    if_locked: IfLocked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IfLocked {
    /// Exit with 4 when all pairs are locked, with 1 when some are
    Fail,
    /// Leave them to the other run, without a failure
    Ok,
}

impl LockArgs {
    pub(super) fn held(self) -> HeldPairs {
        HeldPairs {
            wait: self.wait,
            leave: self.if_locked == IfLocked::Ok,
            hint: "wait for it with `--wait`",
        }
    }
}

impl RunArgs {
    /// The configuration with what the command line changes in it.
    pub(super) fn settings(&self, mut settings: Settings) -> Settings {
        if let Some(jobs) = self.jobs {
            settings.load.jobs = jobs.get();
        }
        settings
    }
}

/// A command that loads, as its arguments describe it.
pub(super) struct RunCommand {
    pub(super) ask: Request,
    pub(super) resolved: Resolved,
    pub(super) shard: ShardArgs,
    /// Where rows go; `None` leaves it to the configuration.
    pub(super) to: Option<To>,
    pub(super) args: RunArgs,
}

impl RunCommand {
    /// Runs it on the enabled pairs of the selection, and shows how it ended. Returns the exit code.
    pub(super) async fn run(self, context: &Context) -> Result<u8> {
        let settings = self.args.settings(context.settings()?);
        if let Some(note) = &self.resolved.note {
            context.note(note);
        }
        let catalog = Catalog::open(&settings).await?;
        let pairs = enabled_pairs(&catalog, &self.resolved.selection).await?;
        let pairs = self.shard.choose(pairs, &catalog, context).await?;
        drop(catalog);
        let to = self.to.unwrap_or_else(|| To::configured(&settings));
        self.run_pairs(&settings, pairs, to, context).await
    }

    /// Runs it on these pairs, and shows how it ended. Returns the exit code.
    pub(super) async fn run_pairs(
        self,
        settings: &Settings,
        pairs: Vec<Pair>,
        to: To,
        context: &Context,
    ) -> Result<u8> {
        let ask = self.ask;
        let command = ask.command();
        let held = self.args.locks.held();
        let options = Options {
            held,
            today: self.resolved.today,
            to,
        };
        let cancel = context.cancel();
        let report = context
            .with_progress(ask.verb(), |progress| {
                run(settings, pairs, ask, options, progress, cancel)
            })
            .await?;
        let exit_code = exit_code(&report, held);
        if let Some(table) = run_table::render(&report) {
            context.table(table);
        }
        if let Some(folds) = fold::pairs_table(&report.folds, false) {
            context.table(folds);
        }
        context.print_json(&run_json::RunJson::new(command, &report, exit_code));
        context.failures(&report, held);
        context.cancelled(report.run, report.cancelled_by.as_deref());
        Ok(exit_code)
    }
}
