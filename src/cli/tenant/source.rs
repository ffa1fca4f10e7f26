//! What `tenant add` and `tenant set` take about a tenant's source.

use crate::catalog::Tenant;
use crate::cli::context::Context;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::pg::conninfo::secret::SecretRef;
use crate::pg::settings::search_path;
use crate::pg::{SearchPath, Url};
use crate::unit::TenantName;

/// `--url`, as the catalog keeps it.
///
/// # Errors
/// No connection string, or one with a password.
pub fn url(tenant: &TenantName, text: &str) -> Result<String> {
    let url = Url::parse(text).map_err(|e| e.at("--url"))?;
    if url.has_password() {
        let variable = tenant.as_str().replace('-', "_").to_ascii_uppercase();
        return Err(Error::refused(
            "`--url` contains a password, which would be stored in the catalog",
        )
        .with_hint(format!(
            "use `--url '{}' --password env:{variable}_PASSWORD` (or file:, cmd:, pgpass)",
            url.redacted()
        )));
    }
    Ok(url.redacted())
}

/// `--password`: a reference.
///
/// # Errors
/// It is none.
pub fn password(text: &str) -> Result<String> {
    let reference = SecretRef::parse(text).map_err(|e| e.at("--password"))?;
    Ok(reference.to_string())
}

/// `--search-path`.
///
/// # Errors
/// It is no list of schemas.
pub fn path(text: &str) -> Result<SearchPath> {
    let schemas = search_path::parse(text).map_err(|e| e.at("--search-path"))?;
    Ok(SearchPath::Chosen(schemas))
}

/// `--source-schema`: the name itself, without quotes.
///
/// # Errors
/// It cannot be a schema's name.
pub fn schema(text: &str) -> Result<String> {
    search_path::check_schema(text).map_err(|e| {
        e.at("--source-schema")
            .with_hint("write the schema's name, without quotes")
    })?;
    Ok(text.to_owned())
}

/// `cmd:` and `file:` references work only where the local configuration allows them; a test would have reported that.
pub fn note_untrusted(tenant: &Tenant, settings: &Settings, context: &Context) {
    if let Some(reference) = &tenant.password
        && (reference.starts_with("cmd:") || reference.starts_with("file:"))
        && !settings.secrets.allow.contains(reference)
    {
        context.warn(format!(
            "`{reference}` is not allowed on this host; add it to `allow` under `[secrets]` in the configuration"
        ));
    }
}
