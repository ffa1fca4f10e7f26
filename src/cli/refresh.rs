//! `dayhaul refresh`: days compared with their sources, and brought up by what differs.

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
    /// Only days that were loaded with an older version of their template [default days: all of the ledger]
    #[arg(long)]
    outdated: bool,
    #[command(flatten)]
    landing: LandArgs,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(mut args: Args, context: &Context) -> Result<u8> {
    let to = args.landing.said(args.selection.take_place()?)?;
    let (ask, resolved) = if args.outdated {
        let resolved = args.selection.resolve()?;
        let ask = Request::Outdated {
            days: resolved.days,
        };
        (ask, resolved)
    } else {
        let (resolved, days) = args.selection.resolve_with_days()?;
        (Request::Refresh { days }, resolved)
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
