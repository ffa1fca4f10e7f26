//! `dayhaul tenant add`.

use super::enable::{Remedy, refuse_missing_variables};
use super::list::object;
use super::{source, test};
use crate::catalog::registry::tenants;
use crate::catalog::{Catalog, Tenant};
use crate::cli::context::Context;
use crate::cli::today::TodayArgs;
use crate::error::{Error, Result, exit};
use crate::pg::SearchPath;
use crate::unit::{Day, SchemaName, TemplateName, TenantName};
use serde_json::json;

const EXAMPLES: &str = "\
The tenant is tested first, as by `dayhaul tenant test`.

Examples:
  dayhaul tenant add acme --url postgres://reader@db.acme.example/app \\
    --password env:ACME_PASSWORD --template flights
  dayhaul tenant add acme --url 'host=10.0.0.7 dbname=app user=reader' \\
    --password pgpass --var client=7 --no-test
  dayhaul tenant add initech --url postgres://reader@db.example/all \\
    --source-schema initech --search-path 'initech, extensions'";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The tenant's name: lowercase letters, digits, `-` and `_`
    #[arg(value_name = "NAME")]
    name: TenantName,
    /// Connection string of the source, a URL or key=value pairs as in libpq, without a password
    #[arg(long, value_name = "URL")]
    url: String,
    /// Schema in the warehouse [default: the name, with `_` for `-`]
    #[arg(long, value_name = "SCHEMA")]
    schema: Option<SchemaName>,
    /// Where the password is: env:NAME, file:PATH, cmd:COMMAND or pgpass
    #[arg(long, value_name = "REF")]
    password: Option<String>,
    /// Schemas that queries find tables in, in order: 'acme, extensions' [default: what the login has]
    #[arg(long, value_name = "PATH")]
    search_path: Option<String>,
    /// The tenant's schema at the source: {schema} in templates
    #[arg(long, value_name = "SCHEMA")]
    source_schema: Option<String>,
    /// Enable this template for the tenant (repeatable)
    #[arg(long = "template", value_name = "X")]
    templates: Vec<TemplateName>,
    /// Value of {var:KEY} in templates (repeatable)
    #[arg(long = "var", value_name = "KEY=VALUE")]
    vars: Vec<String>,
    /// The first day with rows, YYYY-MM-DD
    #[arg(long, value_name = "D", requires = "templates")]
    from: Option<Day>,
    /// Add the tenant without connecting to it
    #[arg(long)]
    no_test: bool,
    #[command(flatten)]
    today: TodayArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let mut tenant = tenant(&args)?;
    let settings = context.settings()?;
    let catalog = Catalog::open(&settings).await?;
    tenants::refuse_taken(catalog.session(), &tenant).await?;
    let templates = test::load(&catalog, &args.templates).await?;
    refuse_missing_variables(&tenant, &templates, Remedy::ThisCommand)?;
    look_at_schema(&catalog, &tenant, &args.templates, context).await?;
    if args.schema.is_none() && tenant.schema.as_str() != tenant.name.as_str() {
        context.note(format!(
            "tenant `{}` gets schema `{}`",
            tenant.name, tenant.schema
        ));
    }
    if args.no_test {
        source::note_untrusted(&tenant, &settings, context);
    } else {
        tenant = test::must_pass(context, &tenant, &templates, &settings, args.today.day())
            .await
            .inspect_err(|_| {
                context.note("the tenant was not added; to add it anyway, use `--no-test`")
            })?;
    }
    let enabled = catalog
        .transaction(async |s| {
            tenants::add(s, &tenant).await?;
            if !args.templates.is_empty() {
                tenants::enable(s, &tenant.name, &args.templates, args.from).await?;
            }
            tenants::templates_of(s, &tenant.name).await
        })
        .await?;
    context.print(format!(
        "added tenant `{}`, schema `{}`",
        tenant.name, tenant.schema
    ));
    for template in &enabled {
        context.print(format!("enabled template `{}`", template.template));
    }
    if enabled.is_empty() {
        context.note(format!(
            "no template is enabled yet; enable one with `dayhaul tenant enable {} --template X`",
            tenant.name
        ));
    }
    context.print_json(
        &json!({"schema": "dayhaul.tenant.add/1", "tenant": object(&tenant, &enabled)}),
    );
    Ok(exit::OK)
}

/// The tenant that the arguments describe.
fn tenant(args: &Args) -> Result<Tenant> {
    let schema = match &args.schema {
        Some(schema) => schema.clone(),
        None => args
            .name
            .default_schema()
            .map_err(|e| e.with_hint("choose another with `--schema`"))?,
    };
    Ok(Tenant {
        name: args.name.clone(),
        schema,
        url: Some(source::url(&args.name, &args.url)?),
        password: args.password.as_deref().map(source::password).transpose()?,
        vars: source::variables(&args.vars)?,
        enabled: true,
        source_schema: args
            .source_schema
            .as_deref()
            .map(source::schema)
            .transpose()?,
        search_path: match &args.search_path {
            Some(path) => source::path(path)?,
            None => SearchPath::Unknown,
        },
    })
}

/// In an existing schema, the owner must be allowed to create tables; its content is not touched.
async fn look_at_schema(
    catalog: &Catalog,
    tenant: &Tenant,
    templates: &[TemplateName],
    context: &Context,
) -> Result<()> {
    let Some(found) = tenants::foreign_schema(catalog.session(), &tenant.schema).await? else {
        return Ok(());
    };
    if !found.owner_may_create {
        return Err(Error::refused(format!(
            "schema `{}` already exists, and role `{}` may not create tables in it",
            tenant.schema,
            catalog.owner()
        ))
        .with_hint(format!(
            "choose another with `--schema`, or have its owner run `GRANT USAGE, CREATE ON SCHEMA {} TO {};`",
            tenant.schema,
            crate::sql::ident(catalog.owner())
        )));
    }
    let conflicting: Vec<&str> = found
        .relations
        .iter()
        .map(String::as_str)
        .filter(|r| templates.iter().any(|t| is_table_of(t.as_str(), r)))
        .collect();
    if let Some(first) = conflicting.first() {
        context.warn(format!(
            "schema `{}` already holds `{first}`{}, which is not Dayhaul's; it is not touched, and loads that need the name fail",
            tenant.schema,
            if conflicting.len() > 1 { format!(" and {} more", conflicting.len() - 1) } else { String::new() }
        ));
    } else if !found.relations.is_empty() {
        context.note(format!(
            "schema `{}` already exists with other tables or views; they are not touched",
            tenant.schema
        ));
    }
    Ok(())
}

/// Whether Dayhaul gives such a name to a relation: that of the template, or of its years and days.
fn is_table_of(template: &str, relation: &str) -> bool {
    match relation.strip_prefix(template) {
        Some("") => true,
        Some(rest) => rest.starts_with('_') && rest[1..].starts_with(|c: char| c.is_ascii_digit()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_conflicts_by_its_name_alone() {
        assert!(is_table_of("flights", "flights"));
        assert!(is_table_of("flights", "flights_2024_01_02"));
        assert!(!is_table_of("flights", "flights_seen"));
        assert!(!is_table_of("flights", "airports"));
    }
}
