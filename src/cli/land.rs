//! `dayhaul land`: writes Parquet files of days that are in the warehouse.

use super::context::Context;
use super::run_command::{RunArgs, RunCommand};
use super::selection::SelectionArgs;
use super::shard::ShardArgs;
use crate::engine::run::request::Request;
use crate::engine::window::landing::To;
use crate::error::Result;

const EXAMPLES: &str = "\
Without days, all days of the ledger are landed. Rows are read from the
warehouse; no source is contacted. Files go below `landing.url`.

Examples:
  dayhaul land
  dayhaul land --tenant acme --year 2023
  dayhaul land --template flights --from 2024-03-01 --rewrite";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Write files again that already exist
    #[arg(long, visible_alias = "all", help_heading = "Options")]
    rewrite: bool,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let resolved = args.selection.resolve()?;
    let command = RunCommand {
        ask: Request::Land {
            days: resolved.days,
            rewrite: args.rewrite,
        },
        resolved,
        shard: ShardArgs::default(),
        to: Some(To::Both),
        args: args.run,
    };
    command.run(context).await
}
