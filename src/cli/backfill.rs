//! `dayhaul backfill`: days that the warehouse does not have yet.

use super::context::Context;
use super::load::{RunArgs, carry_out};
use super::place::LandArgs;
use super::selection::SelectionArgs;
use super::signals::cancelled_by_signals;
use crate::engine::run::request::Request;
use crate::error::Result;

#[derive(Debug, clap::Args)]
#[command(after_help = super::selection::PLACES)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Load days again that the ledger has already
    #[arg(long)]
    reload: bool,
    #[command(flatten)]
    landing: LandArgs,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(mut args: Args, context: &Context) -> Result<u8> {
    let to = args.landing.said(args.selection.take_place()?)?;
    let (resolved, days) = args.selection.resolve_with_days()?;
    let ask = Request::Backfill {
        days,
        reload: args.reload,
    };
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
