//! `dayhaul rebuild`: days loaded anew from their sources, while readers keep what is there.

use super::context::Context;
use super::load::{RunArgs, carry_out};
use super::place::LandArgs;
use super::selection::SelectionArgs;
use super::signals::cancelled_by_signals;
use crate::engine::run::request::Request;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    landing: LandArgs,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let (resolved, days) = args.selection.resolve_with_days()?;
    let ask = Request::Rebuild { days };
    let to = args.landing.said(None)?;
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
