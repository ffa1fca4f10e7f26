//! `dayhaul fold`: moves closed days into their year tables.

use super::context::Context;
use super::run_command::LockArgs;
use super::selection::{PairArgs, enabled_pairs};
use super::today::TodayArgs;
use crate::catalog::{Catalog, Selection};
use crate::engine::fold::{Fold, FoldReport, FoldTarget, dry_run, fold};
use crate::engine::locks::held_pairs::HeldPairs;
use crate::error::Result;
use crate::report::fold as report;

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
    #[command(flatten, next_help_heading = "Selection")]
    today: TodayArgs,
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
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let today = args.today.day();
    let target = match args.year {
        Some(year) => FoldTarget::Year { year, today },
        None => FoldTarget::OpenDays { today },
    };
    args.common.move_line(target, context).await
}

impl FoldArgs {
    /// Moves the fold line of the selected pairs, and shows how it ended.
    pub(super) async fn move_line(self, target: FoldTarget, context: &Context) -> Result<u8> {
        let settings = context.settings()?;
        let held = self.locks.held();
        let catalog = Catalog::open(&settings).await?;
        let pairs = enabled_pairs(&catalog, &Selection::from(self.pairs)).await?;
        if self.dry_run {
            let report = dry_run(catalog.session(), &pairs, target).await?;
            return Ok(show(&report, held, context));
        }
        drop(catalog);
        let request = Fold { target, held };
        let cancel = context.cancel();
        let report = context
            .with_progress("fold", |progress| {
                fold(&settings, pairs, &request, progress, cancel)
            })
            .await?;
        Ok(show(&report, held, context))
    }
}

/// Prints the report and returns the exit code.
fn show(fold: &FoldReport, held: HeldPairs, context: &Context) -> u8 {
    let exit_code = report::exit_code(fold, held);
    let dry = fold.run.is_none();
    if dry || !context.quiet {
        context.print(report::render(fold));
    } else if let Some(waiting) = report::not_yet(fold) {
        context.print(waiting);
    }
    context.print_json(&report::FoldJson::new(fold, exit_code));
    context.failures_of_fold(fold, held);
    context.cancelled(fold.run, fold.cancelled_by.as_deref());
    exit_code
}
