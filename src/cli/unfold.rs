//! `dayhaul unfold`: moves folded days back into their own day tables.

use super::context::Context;
use super::fold::FoldArgs;
use crate::engine::fold::FoldTarget;
use crate::error::{Error, Result};
use crate::unit::Day;

const EXAMPLES: &str = "\
All days from `--from` to the fold line move back. The next `fold` or `sync`
moves them into their years again, unless the template's `open_days` keeps them
open.

Examples:
  dayhaul unfold --tenant acme --template flights --from 2024-03-01
  dayhaul unfold --from 2024-03-01 --dry-run";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    common: FoldArgs,
    /// First UTC day to move back, YYYY-MM-DD
    #[arg(long, value_name = "D", help_heading = "Selection")]
    from: Day,
    /// Last UTC day, inclusive; not before the fold line, because all days up to it move back [default: the fold line]
    #[arg(long, value_name = "D", help_heading = "Selection")]
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
