//! `dayhaul refresh`: compares days with their sources and writes what differs.

use super::context::Context;
use super::destination::DestinationArgs;
use super::run_command::{RunArgs, RunCommand};
use super::selection::SelectionArgs;
use super::shard::ShardArgs;
use crate::engine::run::request::Request;
use crate::error::Result;

const EXAMPLES: &str = "\
Each day is read from its source once. Days whose rows are the same are not
written; of the others, only rows that differ are.

`--to` takes a last day, a destination, or both. Destinations are `warehouse`,
`parquet` (files only) and `both` [default: `both` with `landing.enabled`].

Examples:
  dayhaul refresh --last 7
  dayhaul refresh --tenant acme --from 2024-03-01 --to 2024-03-31
  dayhaul refresh --outdated --template flights";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Only days loaded with an older version of their template [default days: all of the ledger]
    #[arg(long, help_heading = "Selection")]
    outdated: bool,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(mut args: Args, context: &Context) -> Result<u8> {
    let to = args
        .destination
        .choose(args.selection.take_destination()?)?;
    let (ask, resolved) = if args.outdated {
        let resolved = args.selection.resolve()?;
        let days = resolved.days;
        (Request::Outdated { days }, resolved)
    } else {
        let (resolved, days) = args.selection.resolve_with_days()?;
        (Request::Refresh { days }, resolved)
    };
    let command = RunCommand {
        ask,
        resolved,
        shard: ShardArgs::default(),
        to,
        args: args.run,
    };
    command.run(context).await
}
