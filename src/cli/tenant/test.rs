//! `dayhaul tenant test`: connects to tenants and reports what it finds.

use crate::catalog::registry::{templates, tenants};
use crate::catalog::{Catalog, Selection, Tenant};
use crate::cli::context::Context;
use crate::cli::today::TodayArgs;
use crate::config::Settings;
use crate::error::{Result, exit};
use crate::probe::check::{DaysWithRows, TemplateCheck, TenantCheck, check};
use crate::report::failure::why;
use crate::report::rows_of_no_day;
use crate::report::table::Sheet;
use crate::template::Template;
use crate::unit::{Day, TemplateName, TenantName};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::Arc;

/// Tenants tested at the same time.
const AT_ONCE: usize = 8;

const EXAMPLES: &str = "\
Nothing is written, at the tenant or in the warehouse.

Examples:
  dayhaul tenant test acme
  dayhaul tenant test acme zenith --template flights
  dayhaul tenant test --all";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Tenants to test
    #[arg(
        value_name = "NAME",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    names: Vec<TenantName>,
    /// Test every tenant
    #[arg(long)]
    all: bool,
    /// Only this template (repeatable) [default: those enabled for the tenant]
    #[arg(long = "template", value_name = "X")]
    templates: Vec<TemplateName>,
    #[command(flatten)]
    today: TodayArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let settings = context.settings()?;
    let catalog = Catalog::open(&settings).await?;
    let session = catalog.session();
    tenants::check_selection(
        session,
        &Selection {
            tenants: args.names.clone(),
            templates: args.templates.clone(),
        },
    )
    .await?;
    let mut work = Vec::new();
    for tenant in tenants::list(session).await? {
        if args.all || args.names.contains(&tenant.name) {
            let names = if args.templates.is_empty() {
                enabled(&catalog, &tenant).await?
            } else {
                args.templates.clone()
            };
            let parsed = load(&catalog, &names).await?;
            work.push((tenant, parsed));
        }
    }
    let today = args.today.day();
    let checks: Vec<TenantCheck> = stream::iter(work)
        .map(|(tenant, templates)| {
            let settings = &settings;
            async move { check(tenant, &templates, settings, today).await }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    report(context, &checks);
    Ok(exit_code(&checks))
}

async fn enabled(catalog: &Catalog, tenant: &Tenant) -> Result<Vec<TemplateName>> {
    let all = tenants::templates_of(catalog.session(), &tenant.name).await?;
    Ok(all
        .into_iter()
        .filter(|t| t.enabled)
        .map(|t| t.template)
        .collect())
}

/// The templates of these names, from the catalog.
pub async fn load(catalog: &Catalog, names: &[TemplateName]) -> Result<Vec<Arc<Template>>> {
    let mut parsed = Vec::new();
    for name in names {
        parsed.push(Arc::new(
            templates::get(catalog.session(), name).await?.template,
        ));
    }
    Ok(parsed)
}

/// Tests one tenant before its values are stored. One that was not contacted before comes back with the login's search path.
///
/// # Errors
/// The first problem that prevents loading it.
pub async fn must_pass(
    context: &Context,
    tenant: &Tenant,
    templates: &[Arc<Template>],
    settings: &Settings,
    today: Day,
) -> Result<Tenant> {
    let check = check(tenant.clone(), templates, settings, today).await;
    if check.server.is_ok() && !context.json {
        context.note(render(std::slice::from_ref(&check)));
    }
    warn_of_rows(context, &check);
    check.server?;
    check.templates.into_iter().try_for_each(|t| t.readable)?;
    Ok(check.tenant)
}

fn exit_code(checks: &[TenantCheck]) -> u8 {
    if !checks.is_empty() && checks.iter().all(TenantCheck::unreachable) {
        exit::UNREACHABLE
    } else if checks.iter().any(TenantCheck::failed) {
        exit::FAILED
    } else {
        exit::OK
    }
}

fn report(context: &Context, checks: &[TenantCheck]) {
    context.print_json(&json!({
        "schema": "dayhaul.tenant.test/1",
        "outcome": if checks.iter().any(TenantCheck::failed) { "failed" } else { "done" },
        "tenants": checks.iter().map(tenant_json).collect::<Vec<_>>(),
    }));
    if checks.is_empty() {
        context.note("there are no tenants; add one with `dayhaul tenant add`");
        return;
    }
    context.print(render(checks));
    for check in checks {
        match &check.server {
            Err(e) => context.error(e),
            Ok(server) if server.encoding == "SQL_ASCII" => context.warn(format!(
                "tenant `{}`: the encoding is SQL_ASCII, so text that is not UTF-8 fails to load",
                check.tenant.name
            )),
            Ok(_) => {}
        }
        for template in &check.templates {
            match (&template.readable, &template.days) {
                (Err(e), _) => context.error(e),
                (_, DaysWithRows::Unknown(e)) => context.warn(format!(
                    "failed to find the days with rows of template `{}`: {}",
                    template.template,
                    why(e)
                )),
                _ => {}
            }
        }
        warn_of_rows(context, check);
    }
}

fn warn_of_rows(context: &Context, check: &TenantCheck) {
    for what in check.templates.iter().filter_map(in_no_day) {
        context.warn(format!("tenant `{}`, {what}", check.tenant.name));
    }
}

/// What to know of a template's rows that are in no day.
fn in_no_day(check: &TemplateCheck) -> Option<String> {
    let template = &check.template;
    match check.rows_of_no_day.as_ref()? {
        Ok(rows) if rows.is_none() => None,
        Ok(rows) => Some(format!(
            "template `{template}`: rows that are in no day up to today: {}",
            rows_of_no_day::counts(rows)
        )),
        Err(error) => Some(format!(
            "template `{template}`: rows that are in no day were not counted: {}",
            why(error)
        )),
    }
}

/// A line per tenant and template.
fn render(checks: &[TenantCheck]) -> String {
    let mut sheet = Sheet::new(&[
        "tenant",
        "server",
        ">latency",
        "encoding",
        "login",
        "template",
        "readable",
        "days with rows",
    ]);
    for check in checks {
        let head = head(check);
        if check.templates.is_empty() {
            sheet.row(head.into_iter().chain(["-".into(), "-".into(), "-".into()]));
            continue;
        }
        for (i, template) in check.templates.iter().enumerate() {
            let readable = if template.readable.is_ok() {
                "yes"
            } else {
                "no"
            };
            let first = if i == 0 {
                head.clone()
            } else {
                Default::default()
            };
            sheet.row(first.into_iter().chain([
                template.template.to_string(),
                readable.to_owned(),
                days_text(&template.days),
            ]));
        }
    }
    sheet.render()
}

fn head(check: &TenantCheck) -> [String; 5] {
    let tenant = check.tenant.name.to_string();
    match &check.server {
        Ok(server) => [
            tenant,
            format!(
                "{}{}",
                server.version,
                if server.standby { " standby" } else { "" }
            ),
            format!("{:.1} ms", server.latency.as_secs_f64() * 1e3),
            server.encoding.clone(),
            server.login.clone(),
        ],
        Err(_) if check.unreachable() => [
            tenant,
            "unreachable".into(),
            "-".into(),
            "-".into(),
            "-".into(),
        ],
        Err(_) => [tenant, "failed".into(), "-".into(), "-".into(), "-".into()],
    }
}

fn days_text(days: &DaysWithRows) -> String {
    match days {
        DaysWithRows::NotTried => "-".into(),
        DaysWithRows::None => "none".into(),
        DaysWithRows::Exact(range) => format!("{} … {}", range.first, range.last),
        DaysWithRows::About(range) => format!("about {} … {}", range.first, range.last),
        DaysWithRows::Unknown(_) => "unknown".into(),
    }
}

fn tenant_json(check: &TenantCheck) -> Value {
    let templates: Vec<Value> = check
        .templates
        .iter()
        .map(|t| {
            let range = t.days.range();
            json!({
                "template": t.template.as_str(),
                "readable": t.readable.is_ok(),
                "error": t.readable.as_ref().err().map(why),
                "range": match &t.days {
                    DaysWithRows::NotTried => "not_tried",
                    DaysWithRows::None => "none",
                    DaysWithRows::Exact(_) => "exact",
                    DaysWithRows::About(_) => "about",
                    DaysWithRows::Unknown(_) => "unknown",
                },
                "range_error": match &t.days {
                    DaysWithRows::Unknown(e) => Some(why(e)),
                    _ => None,
                },
                "first_day": range.map(|range| range.first.to_string()),
                "last_day": range.map(|range| range.last.to_string()),
                "rows_of_no_day": t.rows_of_no_day.as_ref().map(rows_of_no_day::json),
            })
        })
        .collect();
    let server = check.server.as_ref().ok().map(|s| {
        json!({
            "version": s.version,
            "latency_ms": s.latency.as_secs_f64() * 1e3,
            "encoding": s.encoding,
            "standby": s.standby,
            "login": s.login,
            "search_path": s.search_path,
        })
    });
    json!({
        "tenant": check.tenant.name.as_str(),
        "reachable": check.server.is_ok(),
        "error": check.server.as_ref().err().map(why),
        "server": server,
        "templates": templates,
    })
}
