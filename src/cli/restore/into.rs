//! `--into`: a database in place of the configured warehouse.

use crate::cli::context::Context;
use crate::cli::init;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::pg::Url;

/// The settings with this database as the warehouse.
///
/// # Errors
/// The URL does not parse, is empty, or holds a password.
pub fn settings(into: &str, password: Option<&str>, context: &Context) -> Result<Settings> {
    let url = Url::parse(into).map_err(|e| e.at("--into"))?;
    if into.trim().is_empty() {
        return Err(Error::usage("`--into` is empty"));
    }
    if url.has_password() {
        return Err(Error::refused(
            "`--into` contains a password, which other users of this host can see",
        )
        .with_hint(format!(
            "use `--into '{}' --into-password env:NAME` (or file:, cmd:, pgpass)",
            url.redacted()
        )));
    }
    context.settings_with_warehouse(into, password)
}

/// Prepares the database as `init` does, if it is not prepared yet.
///
/// # Errors
/// Those of `init`; the database does not exist.
pub async fn prepare(into: &str, settings: &Settings, context: &Context) -> Result<()> {
    init::if_needed(settings, context)
        .await
        .map_err(|e| match e.sqlstate() {
            Some("3D000") => e.with_hint(format!(
                "create it first: createdb --encoding=UTF8 --template=template0 --maintenance-db='{into}'"
            )),
            _ => e,
        })
}
