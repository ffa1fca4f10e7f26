//! The (tenant, template) pairs that a run works on.

use super::templates;
use super::tenants::{self, Selection, check_selection, tenant_of};
use super::windows::Windows;
use crate::catalog::Tenant;
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::template::Template;
use crate::unit::{Day, TemplateName, TenantName};
use std::collections::HashMap;
use std::sync::Arc;

/// A template that is loaded for a tenant.
#[derive(Debug, Clone)]
pub struct Pair {
    pub tenant: Tenant,
    pub template: Arc<Template>,
    pub enabled: bool,
    /// The earliest day ever asked for.
    pub first_day: Option<Day>,
    /// Days before it live in year tables.
    pub fold_line: Option<Day>,
    /// Whether windows of several days were compared with their days, for the template's version.
    pub windows: Option<Windows>,
}

impl Pair {
    /// Whether each day is fetched with its own query: the template says so, or its days are too large to compare.
    pub fn one_day_windows(&self) -> bool {
        self.template.one_day_windows || self.windows == Some(Windows::ByDay)
    }
}

/// The enabled pairs of a selection, by tenant and template; each template is parsed once and shared.
///
/// # Errors
/// The selection names a tenant or template that is unknown, or a pair that is not enabled.
pub async fn pairs(session: &Session, selection: &Selection) -> Result<Vec<Pair>> {
    let pairs = select(session, selection, true).await?;
    refuse_nothing_to_do(session, selection, &pairs).await?;
    Ok(pairs)
}

/// As [`pairs`], with none if that is what is enabled of the selection.
///
/// # Errors
/// The selection names a tenant or template that is unknown.
pub async fn enabled(session: &Session, selection: &Selection) -> Result<Vec<Pair>> {
    select(session, selection, true).await
}

/// As [`pairs`], enabled or not.
///
/// # Errors
/// The selection names a tenant or template that is unknown.
pub async fn all(session: &Session, selection: &Selection) -> Result<Vec<Pair>> {
    select(session, selection, false).await
}

async fn select(session: &Session, selection: &Selection, enabled_only: bool) -> Result<Vec<Pair>> {
    let wh = session.catalog();
    check_selection(session, selection).await?;
    let rows = session
        .query(
            &format!("SELECT t.name, t.schema_name, t.url, t.password_ref, t.vars::text, t.enabled, \
                    p.enabled, p.first_day, p.fold_line, x.name, x.source, \
                    p.windows, p.windows_version, t.source_schema, t.search_path, t.search_path_from \
             FROM {wh}.pair p JOIN {wh}.tenant t ON t.name = p.tenant JOIN {wh}.template x ON x.name = p.template \
             WHERE NOT $1 OR t.enabled AND p.enabled \
             ORDER BY t.name COLLATE \"C\", x.name COLLATE \"C\""),
            &[&enabled_only],
        )
        .await?;
    let mut parsed = ParsedTemplates::default();
    let mut pairs = Vec::new();
    for row in &rows {
        let tenant = tenant_of(row)?;
        let name: &str = row.get(9);
        if !wanted(&selection.tenants, tenant.name.as_str()) || !wanted(&selection.templates, name)
        {
            continue;
        }
        let template = parsed.get(name, row.get(10))?;
        pairs.push(Pair {
            windows: Windows::of(row, 11, template.version()),
            tenant,
            template,
            enabled: row.get(6),
            first_day: row.get(7),
            fold_line: row.get(8),
        });
    }
    Ok(pairs)
}

/// Templates of several pairs: each is parsed once and shared.
#[derive(Default)]
pub struct ParsedTemplates(HashMap<String, Arc<Template>>);

impl ParsedTemplates {
    /// # Errors
    /// The template is none that this version of the program can read.
    pub fn get(&mut self, name: &str, source: &str) -> Result<Arc<Template>> {
        if let Some(template) = self.0.get(name) {
            return Ok(Arc::clone(template));
        }
        let template = Arc::new(templates::stored(name, source)?);
        self.0.insert(name.to_owned(), Arc::clone(&template));
        Ok(template)
    }
}

fn wanted<N: AsRef<str>>(named: &[N], name: &str) -> bool {
    named.is_empty() || named.iter().any(|n| n.as_ref() == name)
}

/// A name that was spelt out and selects nothing would otherwise end green.
async fn refuse_nothing_to_do(
    session: &Session,
    selection: &Selection,
    pairs: &[Pair],
) -> Result<()> {
    let idle = selection
        .tenants
        .iter()
        .find(|t| !pairs.iter().any(|p| p.tenant.name == **t));
    if let Some(tenant) = idle {
        return Err(Error::refused(format!(
            "no template of this selection is enabled for tenant `{tenant}`"
        ))
        .with_hint(how_to_enable(session, selection, Some(tenant), None).await?));
    }
    let idle = selection
        .templates
        .iter()
        .find(|t| !pairs.iter().any(|p| p.template.name == **t));
    match idle {
        Some(template) => Err(Error::refused(format!(
            "template `{template}` is not enabled for any tenant of this selection"
        ))
        .with_hint(how_to_enable(session, selection, None, Some(template)).await?)),
        None => Ok(()),
    }
}

/// The hint of a selection in which nothing is enabled, for this tenant or with this template if one is given: which
/// command enables the tenant itself, or the pair.
///
/// # Errors
/// The selection names a tenant or template that is unknown.
pub async fn how_to_enable(
    session: &Session,
    selection: &Selection,
    tenant: Option<&TenantName>,
    template: Option<&TemplateName>,
) -> Result<String> {
    let mut pairs = all(session, selection).await?;
    pairs.retain(|p| tenant.is_none_or(|t| p.tenant.name == *t));
    pairs.retain(|p| template.is_none_or(|x| p.template.name == *x));
    if let Some(pair) = pairs.iter().find(|p| p.enabled && !p.tenant.enabled) {
        let name = &pair.tenant.name;
        return Ok(format!(
            "tenant `{name}` is disabled; enable it with `dayhaul tenant enable {name}`"
        ));
    }
    let pair = pairs.first();
    let known = tenant.or(pair.map(|p| &p.tenant.name));
    let only = template.or(pair.map(|p| &p.template.name));
    let only = only.or(selection.templates.first());
    let name = known.map_or("T", TenantName::as_str);
    let pair = format!(
        "`dayhaul tenant enable {name} --template {}`",
        only.map_or("X", TemplateName::as_str)
    );
    match known {
        Some(known) if !tenants::get(session, known).await?.enabled => Ok(format!(
            "tenant `{name}` is disabled, too: enable both with `dayhaul tenant enable {name}` and {pair}"
        )),
        _ => Ok(format!("enable one with {pair}")),
    }
}
