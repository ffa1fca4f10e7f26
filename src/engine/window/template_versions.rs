//! Templates as they were when days were loaded with them.

use crate::catalog::registry::templates;
use crate::error::{At, Result};
use crate::pg::Session;
use crate::template::Template;
use std::collections::{BTreeMap, BTreeSet};

/// The versions of a template that days were loaded with. The current one is taken as it is now.
///
/// # Errors
/// A text that this program cannot read; the warehouse's.
pub async fn versions(
    session: &Session,
    current: &Template,
    used: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Template>> {
    let mut parsed = BTreeMap::new();
    parsed.insert(current.version().to_owned(), current.clone());
    if used.iter().all(|version| parsed.contains_key(*version)) {
        return Ok(parsed);
    }
    for version in templates::versions(session, &current.name).await? {
        if used.contains(version.version.as_str()) && !parsed.contains_key(&version.version) {
            let template = Template::parse(current.name.clone(), &version.source)
                .at(|| format!("version `{}`", version.version))?;
            parsed.insert(version.version, template);
        }
    }
    Ok(parsed)
}
