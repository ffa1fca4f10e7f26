//! `dayhaul land`: files for days that are in the warehouse already.

use super::context::Context;
use super::load::{RunArgs, carry_out};
use super::selection::SelectionArgs;
use super::signals::cancelled_by_signals;
use crate::engine::run::request::Request;
use crate::engine::window::landing::To;
use crate::error::Result;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without days, all that the ledger has are landed. Rows are read from the warehouse; no source is asked."
)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Write files again that are there
    #[arg(long, visible_alias = "all")]
    rewrite: bool,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let resolved = args.selection.resolve()?;
    let ask = Request::Land {
        days: resolved.days,
        rewrite: args.rewrite,
    };
    let to = Some(To::Both);
    carry_out(
        ask,
        &resolved,
        args.run,
        to,
        cancelled_by_signals(),
        context,
    )
    .await
}
