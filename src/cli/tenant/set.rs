//! `dayhaul tenant set`.

use super::enable::{Remedy, refuse_missing_variables};
use super::list::object;
use super::{source, test};
use crate::catalog::registry::tenants;
use crate::catalog::{Catalog, Tenant};
use crate::cli::context::Context;
use crate::cli::today::TodayArgs;
use crate::error::{Result, exit};
use crate::unit::TenantName;
use serde_json::json;

const EXAMPLES: &str = "\
The tenant is tested with its new values first, as by `dayhaul tenant test`.
Days that are loaded stay as they are; `dayhaul verify` compares them.

Examples:
  dayhaul tenant set acme --url postgres://reader@new-db.acme.example/app
  dayhaul tenant set acme --password file:/run/secrets/acme
  dayhaul tenant set acme --search-path 'acme, extensions'
  dayhaul tenant set acme --var client=7";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = "dayhaul tenant set [OPTIONS] <NAME>")]
#[command(group = clap::ArgGroup::new("values").required(true).multiple(true)
    .args(["url", "password", "search_path", "source_schema", "vars"]))]
pub struct Args {
    /// The tenant's name
    #[arg(value_name = "NAME")]
    name: TenantName,
    /// Connection string of the source, a URL or key=value pairs as in libpq, without a password
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Where the password is: env:NAME, file:PATH, cmd:COMMAND or pgpass
    #[arg(long, value_name = "REF")]
    password: Option<String>,
    /// Schemas that queries find tables in, in order: 'acme, extensions'
    #[arg(long, value_name = "PATH")]
    search_path: Option<String>,
    /// The tenant's schema at the source: {schema} in templates
    #[arg(long, value_name = "SCHEMA")]
    source_schema: Option<String>,
    /// Value of {var:KEY} in templates (repeatable); other variables stay
    #[arg(long = "var", value_name = "KEY=VALUE")]
    vars: Vec<String>,
    /// Set the values without connecting to the tenant
    #[arg(long)]
    no_test: bool,
    #[command(flatten)]
    today: TodayArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let settings = context.settings()?;
    let catalog = Catalog::open(&settings).await?;
    let before = tenants::get(catalog.session(), &args.name).await?;
    let mut tenant = changed(&args, &before)?;
    let enabled = tenants::templates_of(catalog.session(), &tenant.name).await?;
    let names: Vec<_> = enabled.iter().filter(|t| t.enabled).collect();
    let names: Vec<_> = names.iter().map(|t| t.template.clone()).collect();
    let templates = test::load(&catalog, &names).await?;
    refuse_missing_variables(&tenant, &templates, Remedy::ThisCommand)?;
    if args.no_test {
        source::note_untrusted(&tenant, &settings, context);
    } else {
        tenant = test::must_pass(context, &tenant, &templates, &settings, args.today.day())
            .await
            .inspect_err(|_| {
                context.note("the tenant was not changed; to change it anyway, use `--no-test`")
            })?;
    }
    catalog
        .transaction(async |s| tenants::put(s, &tenant).await)
        .await?;
    context.print(format!("changed tenant `{}`", tenant.name));
    if reads_other_rows(&before, &tenant) {
        context.note(format!(
            "days that are loaded stay as they are; compare them with `dayhaul verify --tenant {}`",
            tenant.name
        ));
    }
    context.print_json(
        &json!({"schema": "dayhaul.tenant.set/1", "tenant": object(&tenant, &enabled)}),
    );
    Ok(exit::OK)
}

/// The tenant with the values that the arguments give.
fn changed(args: &Args, before: &Tenant) -> Result<Tenant> {
    let mut tenant = before.clone();
    if let Some(url) = &args.url {
        tenant.url = Some(source::url(&args.name, url)?);
    }
    if let Some(reference) = &args.password {
        tenant.password = Some(source::password(reference)?);
    }
    if let Some(path) = &args.search_path {
        tenant.search_path = source::path(path)?;
    }
    if let Some(schema) = &args.source_schema {
        tenant.source_schema = Some(source::schema(schema)?);
    }
    tenant.vars.extend(source::variables(&args.vars)?);
    Ok(tenant)
}

/// Whether the same query may find other rows now.
fn reads_other_rows(before: &Tenant, after: &Tenant) -> bool {
    before.url != after.url
        || before.search_path.schemas() != after.search_path.schemas()
        || before.source_schema != after.source_schema
        || before.vars != after.vars
}
