//! `dayhaul tenant list` and `show`.

use crate::catalog::registry::search_paths;
use crate::catalog::registry::tenants::{self, Enabled};
use crate::catalog::{Catalog, Tenant};
use crate::cli::context::Context;
use crate::error::{Result, exit};
use crate::pg::SearchPath;
use crate::pg::settings::search_path::list;
use crate::report::table::Sheet;
use crate::unit::TenantName;
use serde_json::{Value, json};

pub async fn all(context: &Context) -> Result<u8> {
    let catalog = Catalog::open(&context.settings()?).await?;
    let mut sheet = Sheet::new(&["tenant", "schema", "enabled", "source", "templates"]);
    let mut objects = Vec::new();
    for tenant in tenants::list(catalog.session()).await? {
        let templates = tenants::templates_of(catalog.session(), &tenant.name).await?;
        let enabled: Vec<&str> = templates
            .iter()
            .filter(|t| t.enabled)
            .map(|t| t.template.as_str())
            .collect();
        sheet.row([
            tenant.name.to_string(),
            tenant.schema.to_string(),
            yes(tenant.enabled).to_owned(),
            source(&tenant).to_owned(),
            if enabled.is_empty() {
                "-".to_owned()
            } else {
                enabled.join(", ")
            },
        ]);
        objects.push(object(&tenant, &templates));
    }
    if objects.is_empty() {
        context.note("there are no tenants; add one with `dayhaul tenant add`");
    } else {
        context.print(sheet.render());
    }
    context.print_json(&json!({"schema": "dayhaul.tenant.list/1", "tenants": objects}));
    Ok(exit::OK)
}

pub async fn one(name: &TenantName, context: &Context) -> Result<u8> {
    let catalog = Catalog::open(&context.settings()?).await?;
    let tenant = tenants::get(catalog.session(), name).await?;
    let templates = tenants::templates_of(catalog.session(), name).await?;
    context.print(describe(&tenant));
    if templates.is_empty() {
        context.note(format!(
            "no template is enabled; enable one with `dayhaul tenant enable {name} --template X`"
        ));
    } else {
        let mut sheet = Sheet::new(&["template", "enabled", "first day"]);
        for t in &templates {
            let first_day = t
                .first_day
                .map_or_else(|| "-".to_owned(), |d| d.to_string());
            sheet.row([t.template.to_string(), yes(t.enabled).to_owned(), first_day]);
        }
        context.print(format!("\n{}", sheet.render()));
    }
    context.print_json(
        &json!({"schema": "dayhaul.tenant.show/1", "tenant": object(&tenant, &templates)}),
    );
    Ok(exit::OK)
}

fn source(tenant: &Tenant) -> &str {
    tenant
        .url
        .as_deref()
        .unwrap_or("not known: restored from files")
}

/// A tenant for people, a line per property.
fn describe(tenant: &Tenant) -> String {
    let mut lines = vec![
        format!("tenant    {}", tenant.name),
        format!("schema    {}", tenant.schema),
        format!("source    {}", source(tenant)),
        format!("password  {}", tenant.password.as_deref().unwrap_or("-")),
        format!("enabled   {}", yes(tenant.enabled)),
        format!("path      {}", path(&tenant.search_path)),
    ];
    if let Some(schema) = &tenant.source_schema {
        lines.push(format!("{{schema}}  {schema}"));
    }
    for (name, value) in &tenant.vars {
        lines.push(format!("var       {name} = {value}"));
    }
    lines.join("\n")
}

/// Where the names of its queries are looked up, and who decided that.
fn path(path: &SearchPath) -> String {
    match path {
        SearchPath::Login(schemas) => format!("{} (the login's)", list(schemas)),
        SearchPath::Chosen(schemas) => list(schemas),
        SearchPath::Earlier => "public (as in earlier versions)".to_owned(),
        SearchPath::Unknown => "not known: the next run records the login's".to_owned(),
    }
}

/// A tenant for programs. `password` is a reference.
pub fn object(tenant: &Tenant, templates: &[Enabled]) -> Value {
    let templates: Vec<Value> = templates
        .iter()
        .map(|t| {
            json!({
                "template": t.template.as_str(),
                "enabled": t.enabled,
                "first_day": t.first_day.map(|d| d.to_string()),
            })
        })
        .collect();
    json!({
        "name": tenant.name.as_str(),
        "schema_name": tenant.schema.as_str(),
        "url": tenant.url,
        "password": tenant.password,
        "vars": tenant.vars,
        "enabled": tenant.enabled,
        "source_schema": tenant.source_schema,
        "search_path": tenant.search_path.schemas(),
        "search_path_from": search_paths::from(&tenant.search_path),
        "templates": templates,
    })
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
