//! `dayhaul rebuild`: loads days again from their sources while readers keep the current rows.

use super::context::Context;
use super::destination::DestinationArgs;
use super::run_command::{RunArgs, RunCommand};
use super::selection::SelectionArgs;
use super::shard::ShardArgs;
use crate::engine::run::request::Request;
use crate::error::Result;

const EXAMPLES: &str = "\
Closed years are rebuilt as a whole, so the days must cover them.

Examples:
  dayhaul rebuild --tenant acme --template flights --year 2023
  dayhaul rebuild --template flights --last 7";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let (resolved, days) = args.selection.resolve_with_days()?;
    let command = RunCommand {
        ask: Request::Rebuild { days },
        resolved,
        shard: ShardArgs::default(),
        to: args.destination.choose(None)?,
        args: args.run,
    };
    command.run(context).await
}
