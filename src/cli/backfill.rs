//! `dayhaul backfill`: loads days that the warehouse does not have yet.

use super::confirm::confirm;
use super::context::Context;
use super::destination::DestinationArgs;
use super::run_command::{RunArgs, RunCommand};
use super::selection::{Resolved, SelectionArgs, enabled_pairs};
use super::shard::ShardArgs;
use crate::catalog::Catalog;
use crate::engine::run::request::Request;
use crate::error::{Result, exit};
use crate::report::numbers::counted;
use crate::unit::{Day, Window};

const EXAMPLES: &str = "\
Days that the ledger already has are skipped. A run that was interrupted
continues where it stopped: run the same command again.

`--to` takes a last day, a destination, or both. Destinations are `warehouse`,
`parquet` (files only) and `both` [default: `both` with `landing.enabled`].

Examples:
  dayhaul backfill --last 30
  dayhaul backfill --tenant acme --template flights --from 2024-01-01
  dayhaul backfill --year 2023 --to parquet --jobs 8";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    shard: ShardArgs,
    /// Load days again that the ledger already has
    #[arg(long, help_heading = "Options")]
    reload: bool,
    /// Do not ask before loading days of more than 30 years ago for the first time
    #[arg(long, help_heading = "Options")]
    yes: bool,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(mut args: Args, context: &Context) -> Result<u8> {
    let to = args
        .destination
        .choose(args.selection.take_destination()?)?;
    let (resolved, days) = args.selection.resolve_with_days()?;
    if !confirm_distant(&resolved, days, args.yes, context).await? {
        return Ok(exit::OK);
    }
    let command = RunCommand {
        ask: Request::Backfill {
            days,
            reload: args.reload,
        },
        resolved,
        shard: args.shard,
        to,
        args: args.run,
    };
    command.run(context).await
}

/// Days so many years back are asked about: more often a typing error than data.
const DISTANT_YEARS: i32 = 30;

/// Asks before a year that no pair ever had becomes a table, and stays one that `sync` keeps up with. `false`: not confirmed.
async fn confirm_distant(
    resolved: &Resolved,
    days: Window,
    yes: bool,
    context: &Context,
) -> Result<bool> {
    let years = resolved.today.year() - days.from.year();
    if years <= DISTANT_YEARS || yes {
        return Ok(true);
    }
    let catalog = Catalog::open(&context.settings()?).await?;
    let pairs = enabled_pairs(&catalog, &resolved.selection).await?;
    let is_known = |first: Option<Day>| first.is_some_and(|first| first <= days.from);
    let new = pairs
        .iter()
        .filter(|pair| !is_known(pair.first_day))
        .count();
    if new == 0 {
        return Ok(true);
    }
    context.note(format!(
        "{} is {years} years ago: each year from then on gets a table for {}, also without rows, and every `sync` checks its days",
        days.from,
        counted(new as u64, "pair"),
    ));
    let confirmed = confirm("load from there?", yes)?;
    if !confirmed {
        context.note("nothing was loaded");
    }
    Ok(confirmed)
}
