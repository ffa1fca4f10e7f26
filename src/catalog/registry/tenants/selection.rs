//! Which tenants and templates a command names.

use super::tenant::get;
use super::unknown_name::{names, unknown};
use crate::error::Result;
use crate::pg::Session;
use crate::unit::{TemplateName, TenantName};

/// Which pairs are meant: these tenants and these templates, all of them where none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub tenants: Vec<TenantName>,
    pub templates: Vec<TemplateName>,
}

/// Checks that every name of a selection is known.
///
/// # Errors
/// One is not; the nearest is suggested.
pub async fn check_selection(session: &Session, selection: &Selection) -> Result<()> {
    let wh = session.catalog();
    for tenant in &selection.tenants {
        get(session, tenant).await?;
    }
    let known = names(session, &format!("SELECT name FROM {wh}.template")).await?;
    match selection
        .templates
        .iter()
        .find(|t| !known.iter().any(|k| k == t.as_str()))
    {
        None => Ok(()),
        Some(template) => Err(unknown(
            "template",
            template.as_str(),
            &known,
            "see them with `dayhaul template list`, register one with `dayhaul template load`",
        )),
    }
}
