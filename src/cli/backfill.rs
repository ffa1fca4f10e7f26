//! `dayhaul backfill`: loads days that the warehouse does not have yet.

use super::context::Context;
use super::destination::DestinationArgs;
use super::run_command::{RunArgs, RunCommand};
use super::selection::SelectionArgs;
use crate::engine::run::request::Request;
use crate::error::Result;

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
    /// Load days again that the ledger already has
    #[arg(long, help_heading = "Options")]
    reload: bool,
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
    let command = RunCommand {
        ask: Request::Backfill {
            days,
            reload: args.reload,
        },
        resolved,
        to,
        args: args.run,
    };
    command.run(context).await
}
