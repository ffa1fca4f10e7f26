//! `dayhaul sync`: the command for cron.

use super::context::Context;
use super::destination::{Destination, DestinationArgs};
use super::run_command::{RunArgs, RunCommand};
use super::selection::{PairArgs, Resolved};
use crate::engine::run::request::Request;
use crate::error::Result;
use crate::unit::Day;

const EXAMPLES: &str = "\
Loads days that are missing or failed, compares the latest days with their
sources, and folds days that have closed.

Examples:
  dayhaul sync
  dayhaul sync --tenant acme --lookback 14
  dayhaul sync --quiet --if-locked ok              in a crontab";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pairs: PairArgs,
    /// How many days before today to compare again [default: the template's `lookback_days`]
    #[arg(long, value_name = "N", help_heading = "Selection")]
    lookback: Option<u32>,
    /// Treat this day as today
    #[arg(long, value_name = "D", help_heading = "Selection")]
    today: Option<Day>,
    /// `warehouse`, `parquet` (files only) or `both` [default: the configuration's]
    #[arg(long, value_name = "WHERE", help_heading = "Where rows go")]
    to: Option<Destination>,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let command = RunCommand {
        ask: Request::Sync {
            lookback: args.lookback,
        },
        resolved: Resolved {
            selection: args.pairs.into(),
            days: None,
            today: args.today.unwrap_or_else(Day::today),
            note: None,
        },
        to: args.destination.choose(args.to)?,
        args: args.run,
    };
    command.run(context).await
}
