//! `dayhaul unfold`: folded days come back into day tables of their own.

use super::context::Context;
use super::fold::Common;
use crate::engine::fold::FoldTarget;
use crate::error::{Error, Result};
use crate::unit::Day;

/// The next `fold` or `sync` takes the days back into their years, unless `open_days` of the template keeps them open.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// First UTC day that comes back, YYYY-MM-DD
    #[arg(long, value_name = "D")]
    from: Day,
    /// Last one, inclusive; all days up to the fold line come back, so it may not lie before it [default: the fold line]
    #[arg(long, value_name = "D")]
    to: Option<Day>,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    if let Some(to) = args.to.filter(|to| *to < args.from) {
        return Err(Error::usage(format!(
            "`--from` {} is after `--to` {to}",
            args.from
        )));
    }
    let target = FoldTarget::Back {
        from: args.from,
        to: args.to,
    };
    args.common.move_line(target, context).await
}
