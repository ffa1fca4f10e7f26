//! `dayhaul template drop`.

use crate::catalog::Catalog;
use crate::catalog::registry::belongings::{self, Belongings};
use crate::cli::confirm::confirm;
use crate::cli::context::Context;
use crate::error::{Error, Result, exit};
use crate::report::numbers::counted;
use crate::unit::TemplateName;
use serde_json::json;
use std::time::Duration;

/// Attempts to get the locks, and the pause between them: readers come first, within limits.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  dayhaul template drop flights
  dayhaul template drop flights --yes";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The template's name
    name: TemplateName,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let settings = context.settings()?;
    let catalog = Catalog::open(&settings).await?;
    let belongings = belongings::belongings(catalog.session(), &args.name).await?;
    context.note(format!(
        "this drops template `{}` with {}; the tenants' own rows and the schemas remain",
        args.name,
        contents(&belongings)
    ));
    if !confirm("drop it?", args.yes)? {
        context.note("nothing was dropped");
        return Ok(exit::OK);
    }
    let dropped = drop(&catalog, &args.name, settings.load.lock_timeout).await?;
    context.print(format!(
        "dropped template `{}` with {}",
        args.name,
        contents(&dropped)
    ));
    context.print_json(&json!({
        "schema": "dayhaul.template.drop/1",
        "name": args.name.as_str(),
        "pairs": dropped.pairs,
        "units": dropped.units,
        "versions": dropped.versions,
        "views": dropped.views.len(),
        "tables": dropped.tables.len(),
    }));
    Ok(exit::OK)
}

async fn drop(
    catalog: &Catalog,
    name: &TemplateName,
    lock_timeout: Duration,
) -> Result<Belongings> {
    let mut tried = 0;
    loop {
        let dropped = catalog
            .transaction(async |session| belongings::drop(session, name, lock_timeout).await)
            .await;
        tried += 1;
        match dropped {
            Err(e) if is_locked(&e) && tried < TRIES => tokio::time::sleep(PAUSE).await,
            Err(e) if is_locked(&e) => {
                return Err(e.with_hint(
                    "a reader or a run has it locked and nothing was dropped; run `dayhaul template drop` again later",
                ));
            }
            other => return other,
        }
    }
}

/// `lock_not_available`, after a `lock_timeout`.
fn is_locked(error: &Error) -> bool {
    error.sqlstate() == Some("55P03")
}

fn contents(belongings: &Belongings) -> String {
    let n = |n: i64, what: &str| counted(u64::try_from(n).unwrap_or(0), what);
    format!(
        "{}, {}, {}, {}, {}",
        n(belongings.pairs, "pair"),
        counted(belongings.views.len() as u64, "view"),
        counted(belongings.tables.len() as u64, "table"),
        n(belongings.units, "ledger row"),
        n(belongings.versions, "version"),
    )
}
