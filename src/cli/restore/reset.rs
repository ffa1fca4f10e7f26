//! `--reset`: drops what an earlier restore brought into the warehouse.

use crate::catalog::snapshot::restored;
use crate::catalog::{Catalog, warehouse_access};
use crate::cli::confirm::confirm;
use crate::cli::context::Context;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::pg::Url;
use crate::report::numbers::counted;
use crate::warehouse;

/// Drops what the catalog owns, after confirmation. `false`: not confirmed.
pub async fn reset(
    catalog: &Catalog,
    settings: &Settings,
    yes: bool,
    context: &Context,
) -> Result<bool> {
    let holdings = warehouse::holdings(catalog.session()).await?;
    if holdings.is_empty() {
        return Ok(true);
    }
    let url = Url::parse(&settings.warehouse.url)?;
    if restored::latest(catalog.session()).await?.is_none() {
        return Err(Error::refused(format!(
            "`--reset` is only for restored warehouses; {} was not restored from files",
            url.redacted()
        ))
        .with_hint("choose the development database with `--into URL`; `dayhaul template drop X` drops one template's tables"));
    }
    let n = |n: i64, what: &str| counted(u64::try_from(n).unwrap_or(0), what);
    if holdings.from_sources > 0 {
        return Err(Error::refused(format!(
            "{} of {} were loaded from the tenants since it was restored, and `--reset` drops only what files can restore",
            n(holdings.from_sources, "day"),
            url.redacted()
        ))
        .with_hint("to proceed anyway, drop and recreate the database"));
    }
    context.note(format!(
        "this drops {1}, {2}, {3}, {4} and {5} of the ledger in {0}; everything else stays",
        url.redacted(),
        n(holdings.tables, "table"),
        n(holdings.views, "view"),
        n(holdings.tenants, "tenant"),
        n(holdings.templates, "template"),
        n(holdings.units, "day"),
    ));
    if !confirm("drop them?", yes)? {
        context.note("nothing was dropped");
        return Ok(false);
    }
    let access = warehouse_access(settings).await?;
    let session = warehouse::open_session(&access, catalog.owner()).await?;
    warehouse::reset(&session, settings.load.lock_timeout).await?;
    Ok(true)
}
