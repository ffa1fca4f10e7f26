//! `dayhaul cancel`: ends a run cleanly, from any host.

use super::context::Context;
use crate::catalog::Catalog;
use crate::catalog::runs::run;
use crate::error::{Result, exit};
use serde_json::json;
use std::time::Duration;

const EXAMPLES: &str = "\
Units that are being loaded are finished or rolled back; the next run
continues.

Examples:
  dayhaul cancel 17
  dayhaul cancel 17 --wait";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The run's number, from `dayhaul history`
    #[arg(value_name = "RUN")]
    run: i64,
    /// Wait until the run has ended
    #[arg(long)]
    wait: bool,
}

/// How often `--wait` checks.
const POLL: Duration = Duration::from_millis(500);

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let catalog = Catalog::open(&context.settings()?).await?;
    let session = catalog.session();
    let before = run::request_cancel(session, args.run, &run::this_person()).await?;
    match &before.asked_by {
        None => context.note(format!("requested the end of {}", before.name)),
        Some(who) => context.note(format!(
            "the end of {} was already requested by {who}",
            before.name
        )),
    }
    let outcome = if args.wait {
        ended(&catalog, args.run).await?
    } else {
        "asked".to_owned()
    };
    context.print(match outcome.as_str() {
        "asked" => format!(
            "run {} ends within seconds; `dayhaul history {}` shows the outcome",
            args.run, args.run
        ),
        "died" => format!("run {} died before it could end", args.run),
        outcome => format!("run {} has ended: {outcome}", args.run),
    });
    context.print_json(&json!({
        "schema": "dayhaul.cancel/1",
        "run": args.run,
        "outcome": outcome,
        "asked_before_by": before.asked_by,
    }));
    Ok(match outcome.as_str() {
        "died" => exit::FAILED,
        _ => exit::OK,
    })
}

async fn ended(catalog: &Catalog, run: i64) -> Result<String> {
    loop {
        let standing = run::standing(catalog.session(), run).await?;
        if standing.outcome != "running" {
            return Ok(standing.outcome);
        }
        tokio::time::sleep(POLL).await;
    }
}
