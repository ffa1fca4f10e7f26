//! `dayhaul sync`: the one command for cron.

use super::context::Context;
use super::load::{RunArgs, carry_out};
use super::place::{LandArgs, Place};
use super::selection::Resolved;
use super::signals::cancelled_by_signals;
use crate::catalog::Selection;
use crate::engine::run::request::Request;
use crate::error::Result;
use crate::unit::{Day, TemplateName, TenantName};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this tenant (repeatable) [default: all that are enabled]
    #[arg(long = "tenant", value_name = "T")]
    tenants: Vec<TenantName>,
    /// Only this template (repeatable) [default: all that are enabled]
    #[arg(long = "template", value_name = "X")]
    templates: Vec<TemplateName>,
    /// How many days before today are compared again [default: the template's `lookback_days`]
    #[arg(long, value_name = "N")]
    lookback: Option<u32>,
    /// Take this day for today
    #[arg(long, value_name = "D")]
    today: Option<Day>,
    /// Where rows go: `warehouse`, `parquet` (files and nothing else) or `both` [default: the configuration's]
    #[arg(long, value_name = "WHERE")]
    to: Option<Place>,
    #[command(flatten)]
    landing: LandArgs,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let resolved = Resolved {
        selection: Selection {
            tenants: args.tenants,
            templates: args.templates,
        },
        days: None,
        today: args.today.unwrap_or_else(Day::today),
        note: None,
    };
    let ask = Request::Sync {
        lookback: args.lookback,
    };
    let to = args.landing.said(args.to)?;
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
