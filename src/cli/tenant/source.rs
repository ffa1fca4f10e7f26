//! What `tenant add` and `tenant set` take about a tenant's source, and its variables.

use crate::catalog::Tenant;
use crate::cli::context::Context;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::pg::conninfo::secret::SecretRef;
use crate::pg::settings::search_path;
use crate::pg::{SearchPath, Url};
use crate::template::is_variable;
use crate::unit::TenantName;
use std::collections::BTreeMap;

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

/// `--var`, each given once.
///
/// # Errors
/// One is not KEY=VALUE, its key cannot be written in a template, or it is given twice.
pub fn variables(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let mut vars = BTreeMap::new();
    for pair in pairs {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Error::usage("`--var` takes KEY=VALUE").with_hint("for example `--var client=7`")
        })?;
        if !is_variable(key) {
            return Err(Error::usage(format!(
                "`--var`: the key `{key}` may contain only letters, digits, `-` and `_`"
            )));
        }
        if vars.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Error::usage(format!("`--var {key}=…` is given twice")));
        }
    }
    Ok(vars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_key_and_value_and_never_given_twice() {
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let vars = variables(&texts(&["client=7", "note=a=b"])).unwrap();
        assert_eq!(vars["note"], "a=b");
        for wrong in [&["client"][..], &["=x"], &["a b=x"], &["a=1", "a=2"]] {
            assert!(variables(&texts(wrong)).is_err(), "{wrong:?}");
        }
    }
}
