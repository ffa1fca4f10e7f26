//! `dayhaul tenant enable` and `disable`.

use super::test::load;
use crate::catalog::registry::pairs;
use crate::catalog::registry::tenants;
use crate::catalog::registry::windows::{self, Windows};
use crate::catalog::{Catalog, Pair, Selection, Tenant};
use crate::cli::context::Context;
use crate::cli::today::TodayArgs;
use crate::cli::window_proof::windows_of;
use crate::error::{Error, Result, exit};
use crate::template::Template;
use crate::unit::{Day, TemplateName, TenantName};
use serde_json::json;
use std::sync::Arc;

const ENABLE_EXAMPLES: &str = "\
Examples:
  dayhaul tenant enable acme --template flights --from 2024-01-01
  dayhaul tenant enable acme                        after `tenant disable acme`";

#[derive(Debug, clap::Args)]
#[command(after_help = ENABLE_EXAMPLES)]
pub struct EnableArgs {
    /// The tenant's name
    #[arg(value_name = "NAME")]
    name: TenantName,
    /// Enable this template (repeatable) [default: the tenant itself]
    #[arg(long = "template", value_name = "X")]
    templates: Vec<TemplateName>,
    /// The first day with rows, YYYY-MM-DD
    #[arg(long, value_name = "D", requires = "templates")]
    from: Option<Day>,
    /// Do not compare windows of several days with single days before the first load; recorded
    #[arg(long, requires = "templates")]
    assume_window_safe: bool,
    #[command(flatten)]
    today: TodayArgs,
}

const DISABLE_EXAMPLES: &str = "\
Examples:
  dayhaul tenant disable acme                       load nothing more for it
  dayhaul tenant disable acme --template flights";

#[derive(Debug, clap::Args)]
#[command(after_help = DISABLE_EXAMPLES)]
pub struct DisableArgs {
    /// The tenant's name
    #[arg(value_name = "NAME")]
    name: TenantName,
    /// Disable this template (repeatable) [default: the tenant itself]
    #[arg(long = "template", value_name = "X")]
    templates: Vec<TemplateName>,
}

pub async fn enable(args: EnableArgs, context: &Context) -> Result<u8> {
    let settings = context.settings()?;
    let catalog = Catalog::open(&settings).await?;
    let tenant = tenants::get(catalog.session(), &args.name).await?;
    if args.templates.is_empty() {
        return switch(&catalog, &tenant, true, context).await;
    }
    let templates = load(&catalog, &args.templates).await?;
    refuse_missing_variables(&tenant, &templates, Remedy::TenantSet)?;
    let today = args.today.day();
    let mut found = Vec::new();
    for pair in pairs_to_be(&catalog, &tenant, &templates, args.from).await? {
        let windows = match pair.windows {
            _ if args.assume_window_safe => Some(Windows::Assumed),
            Some(_) => None,
            None => windows_of(&pair, &settings, today, context).await?,
        };
        found.extend(windows.map(|windows| (pair.template, windows)));
    }
    let changed = catalog
        .transaction(async |s| {
            let changed = tenants::enable(s, &args.name, &args.templates, args.from).await?;
            for (template, windows) in &found {
                let (name, version) = (&template.name, template.version());
                windows::record(s, &args.name, name, version, *windows).await?;
            }
            Ok(changed)
        })
        .await?;
    report(context, &tenant, "enabled", &args.templates, &changed);
    if !tenant.enabled {
        context.warn(format!(
            "tenant `{0}` itself is disabled; enable it with `dayhaul tenant enable {0}`",
            tenant.name
        ));
    }
    Ok(exit::OK)
}

/// The pairs of a tenant and templates as they will be.
async fn pairs_to_be(
    catalog: &Catalog,
    tenant: &Tenant,
    templates: &[Arc<Template>],
    from: Option<Day>,
) -> Result<Vec<Pair>> {
    let selection = Selection {
        tenants: vec![tenant.name.clone()],
        templates: Vec::new(),
    };
    let known = pairs::all(catalog.session(), &selection).await?;
    let pairs = templates.iter().map(|template| {
        let known = known.iter().find(|p| p.template.name == template.name);
        let first_day = known.and_then(|pair| pair.first_day);
        Pair {
            tenant: tenant.clone(),
            template: Arc::clone(template),
            enabled: true,
            first_day: first_day.into_iter().chain(from).min(),
            fold_line: known.and_then(|pair| pair.fold_line),
            windows: known.and_then(|pair| pair.windows),
        }
    });
    Ok(pairs.collect())
}

pub async fn disable(args: DisableArgs, context: &Context) -> Result<u8> {
    let catalog = Catalog::open(&context.settings()?).await?;
    let tenant = tenants::get(catalog.session(), &args.name).await?;
    if args.templates.is_empty() {
        return switch(&catalog, &tenant, false, context).await;
    }
    let changed = catalog
        .transaction(async |s| tenants::disable(s, &args.name, &args.templates).await)
        .await?;
    report(context, &tenant, "disabled", &args.templates, &changed);
    Ok(exit::OK)
}

/// Where a tenant gets what a template's query needs of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The command takes the values itself.
    ThisCommand,
    /// `dayhaul tenant set`.
    TenantSet,
}

/// Checks that a tenant has every variable that the templates' queries use, and the schema.
///
/// # Errors
/// One is missing; the hint names all that are.
pub fn refuse_missing_variables(
    tenant: &Tenant,
    templates: &[Arc<Template>],
    remedy: Remedy,
) -> Result<()> {
    let mut missing = Vec::new();
    let mut first = None;
    for template in templates {
        let lacks = lacking(tenant, template);
        if !lacks.is_empty() {
            let places: Vec<_> = lacks.iter().map(|l| format!("`{}`", l.0)).collect();
            first.get_or_insert_with(|| {
                format!(
                    "template `{}` uses {}, which tenant `{}` does not have",
                    template.name,
                    places.join(", "),
                    tenant.name
                )
            });
        }
        missing.extend(lacks.into_iter().map(|(_, flag)| flag));
    }
    let Some(message) = first else {
        return Ok(());
    };
    missing.sort();
    missing.dedup();
    let flags = missing.join(" ");
    let hint = match remedy {
        Remedy::ThisCommand => format!("add `{flags}` to this command"),
        Remedy::TenantSet => format!("set it with `dayhaul tenant set {} {flags}`", tenant.name),
    };
    Err(Error::refused(message).with_hint(hint))
}

/// The placeholders of a template that the tenant has no value for, each with the flag that gives one.
fn lacking(tenant: &Tenant, template: &Template) -> Vec<(String, String)> {
    let mut lacks: Vec<_> = template
        .variables()
        .into_iter()
        .filter(|name| !tenant.vars.contains_key(*name))
        .map(|name| (format!("{{var:{name}}}"), format!("--var {name}=…")))
        .collect();
    if template.uses_schema() && tenant.source_schema.is_none() {
        lacks.push(("{schema}".to_owned(), "--source-schema SCHEMA".to_owned()));
    }
    lacks
}

async fn switch(catalog: &Catalog, tenant: &Tenant, on: bool, context: &Context) -> Result<u8> {
    let changed = catalog
        .transaction(async |s| tenants::set_enabled(s, &tenant.name, on).await)
        .await?;
    let state = if on { "enabled" } else { "disabled" };
    let already = if changed { "" } else { " already" };
    context.print(format!("tenant `{}` is {state}{already}", tenant.name));
    context.print_json(&json!({
        "schema": format!("dayhaul.tenant.{}/1", if on { "enable" } else { "disable" }),
        "tenant": tenant.name.as_str(),
        "changed": changed,
    }));
    Ok(exit::OK)
}

fn report(
    context: &Context,
    tenant: &Tenant,
    state: &str,
    named: &[TemplateName],
    changed: &[TemplateName],
) {
    for template in named {
        let already = if changed.contains(template) {
            ""
        } else {
            " already"
        };
        context.print(format!(
            "template `{template}` is {state}{already} for tenant `{}`",
            tenant.name
        ));
    }
    let names = |list: &[TemplateName]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    context.print_json(&json!({
        "schema": format!("dayhaul.tenant.{}/1", state.trim_end_matches('d')),
        "tenant": tenant.name.as_str(),
        "templates": names(named),
        "changed": names(changed),
    }));
}
