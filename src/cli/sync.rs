//! `dayhaul sync`: the command for cron.

use super::context::Context;
use super::destination::{Destination, DestinationArgs};
use super::run_command::{RunArgs, RunCommand};
use super::selection::{PairArgs, Resolved};
use super::shard::ShardArgs;
use super::today::TodayArgs;
use crate::engine::run::request::Request;
use crate::engine::run::sync_days::Sync;
use crate::error::Result;

const EXAMPLES: &str = "\
Loads days that are missing or failed, compares days that are not settled with
their sources, and folds days that have closed. A day is settled once it was
compared at or after its end plus the template's `lookback_days`. A rolling
share of settled days is compared, too (`sweep_days` in [load]).

Examples:
  dayhaul sync
  dayhaul sync --tenant acme --lookback 14
  dayhaul sync --shard 2/5                         on the second of five hosts
  dayhaul sync --quiet --if-locked ok              in a crontab";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pairs: PairArgs,
    #[command(flatten)]
    shard: ShardArgs,
    /// How many days before today to compare again [default: the template's `lookback_days`]
    #[arg(long, value_name = "N", help_heading = "Selection")]
    lookback: Option<u32>,
    /// Compare no settled days
    #[arg(long, help_heading = "Selection")]
    no_sweep: bool,
    #[command(flatten, next_help_heading = "Selection")]
    today: TodayArgs,
    /// `warehouse`, `parquet` (files only) or `both` [default: the configuration's]
    #[arg(long, value_name = "WHERE", help_heading = "Where rows go")]
    to: Option<Destination>,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let sweep_days = match args.no_sweep {
        true => 0,
        false => context.settings()?.load.sweep_days,
    };
    let command = RunCommand {
        ask: Request::Sync(Sync {
            lookback: args.lookback,
            sweep_days,
        }),
        resolved: Resolved {
            selection: args.pairs.into(),
            days: None,
            today: args.today.day(),
            note: None,
        },
        shard: args.shard,
        to: args.destination.choose(args.to)?,
        args: args.run,
    };
    command.run(context).await
}
