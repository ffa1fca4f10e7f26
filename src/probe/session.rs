//! A session at a tenant: one read-only transaction with the settings of a load.

use crate::catalog::{self, Tenant};
use crate::config::Settings;
use crate::error::{At, Result};
use crate::pg::{self, Purpose, Session};
use crate::schema::SourceColumn;
use crate::template::Bindings;
use crate::unit::{Day, Window};
use std::time::Duration;

/// The statement timeout: a user waits for the answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A session in an open transaction; dropping it ends both.
///
/// # Errors
/// The tenant is unreachable.
pub async fn open(tenant: &Tenant, settings: &Settings) -> Result<Session> {
    let place = || format!("tenant `{}`", tenant.name);
    let access = catalog::access(tenant, settings).await?;
    let session = pg::connect(&access, Purpose::Source).await.at(place)?;
    tenant
        .transaction(TIMEOUT)
        .begin(&session)
        .await
        .at(place)?;
    Ok(session)
}

/// The columns of a bound query.
///
/// # Errors
/// As [`pg::describe`], or the tenant is unreachable.
pub async fn describe(
    tenant: &Tenant,
    settings: &Settings,
    query: &str,
) -> Result<Vec<SourceColumn>> {
    let session = open(tenant, settings).await?;
    pg::describe(&session, query)
        .await
        .at(|| format!("tenant `{}`", tenant.name))
}

/// One day of a tenant.
pub fn bindings(tenant: &Tenant, day: Day) -> Bindings<'_> {
    tenant.bindings(Window::single(day))
}

/// The day before `today`: to describe a query, any day will do that its source has.
pub fn yesterday(tenant: &Tenant, today: Day) -> Bindings<'_> {
    bindings(tenant, today.plus(-1))
}
