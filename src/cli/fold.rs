//! `dayhaul fold`: moves closed days into their year tables.

use super::context::Context;
use super::run_command::{IfLocked, LockArgs};
use super::selection::{PairArgs, enabled_pairs};
use crate::catalog::{Catalog, Selection};
use crate::engine::fold::{Fold, FoldReport, FoldTarget, dry_run, fold};
use crate::error::Result;
use crate::report::fold as report;
use crate::unit::Day;

const EXAMPLES: &str = "\
The latest days stay open, as many as the template's `open_days`. `sync` folds
as well.

Examples:
  dayhaul fold --dry-run
  dayhaul fold --tenant acme --template flights
  dayhaul fold --year 2023";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    common: FoldArgs,
    /// Close this year: all its past days, even those that `open_days` keeps open
    #[arg(long, value_name = "Y", value_parser = clap::value_parser!(i32).range(1000..=9998), help_heading = "Options")]
    year: Option<i32>,
}

/// What `fold` and `unfold` share.
#[derive(Debug, clap::Args)]
pub(super) struct FoldArgs {
    #[command(flatten)]
    pairs: PairArgs,
    /// Show what would move, and change nothing
    #[arg(long, help_heading = "Options")]
    dry_run: bool,
    #[command(flatten)]
    locks: LockArgs,
    /// Treat this day as today
    #[arg(long, value_name = "D", hide = true)]
    today: Option<Day>,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let target = args.year.map_or(FoldTarget::OpenDays, FoldTarget::Year);
    args.common.move_line(target, context).await
}

impl FoldArgs {
    /// Moves the fold line of the selected pairs, and shows how it ended.
    pub(super) async fn move_line(self, target: FoldTarget, context: &Context) -> Result<u8> {
        let settings = context.settings()?;
        let today = self.today.unwrap_or_else(Day::today);
        let catalog = Catalog::open(&settings).await?;
        let pairs = enabled_pairs(&catalog, &Selection::from(self.pairs)).await?;
        if self.dry_run {
            let report = dry_run(catalog.session(), &pairs, target, today).await?;
            return Ok(show(&report, IfLocked::Fail, context));
        }
        drop(catalog);
        let request = Fold {
            target,
            today,
            wait: self.locks.wait,
        };
        let cancel = context.cancel();
        let report = context
            .with_progress("fold", |progress| {
                fold(&settings, pairs, &request, progress, cancel)
            })
            .await?;
        Ok(show(&report, self.locks.if_locked, context))
    }
}

/// Prints the report and returns the exit code.
fn show(fold: &FoldReport, if_locked: IfLocked, context: &Context) -> u8 {
    let others_do_it = if_locked == IfLocked::Ok;
    let exit_code = report::exit_code(fold, others_do_it);
    let dry = fold.run.is_none();
    if dry || !context.quiet {
        context.print(report::render(fold));
    } else if let Some(waiting) = report::not_yet(fold) {
        context.print(waiting);
    }
    context.print_json(&report::FoldJson::new(fold, exit_code));
    context.failures_but_locked(&fold.failures, fold.not_recorded.as_ref(), others_do_it);
    context.cancelled(fold.run, fold.cancelled_by.as_deref());
    exit_code
}
