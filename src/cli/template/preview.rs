//! `dayhaul template preview`.

use super::file::TemplateFile;
use crate::catalog::Catalog;
use crate::catalog::registry::{templates, tenants};
use crate::cli::context::Context;
use crate::error::{At, Error, Result, exit};
use crate::pg::{self, SimpleRows};
use crate::probe;
use crate::report::table::Sheet;
use crate::template::{Template, check_source, copy_out_sql, select_sql};
use crate::unit::{Day, TemplateName, TenantName};
use serde_json::json;
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  dayhaul template preview flights --tenant acme --day 2024-03-01
  dayhaul template preview templates/flights.sql --tenant acme \\
    --day 2024-03-01 --sql";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A template's name or a template file
    #[arg(value_name = "NAME|FILE")]
    template: String,
    /// Tenant to read from
    #[arg(long, value_name = "T")]
    tenant: TenantName,
    /// UTC day, YYYY-MM-DD
    #[arg(long, value_name = "D")]
    day: Day,
    /// Number of rows
    #[arg(long, value_name = "N", default_value_t = 5)]
    limit: u32,
    /// Print the statement of a load, and do not run it
    #[arg(long)]
    sql: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let settings = context.settings()?;
    let catalog = Catalog::open(&settings).await?;
    let template = find(&args.template, &catalog).await?;
    let tenant = tenants::get(catalog.session(), &args.tenant).await?;
    let query = template
        .bind(&probe::session::bindings(&tenant, args.day))
        .at(|| format!("template `{}`", template.name))?;
    let masks = settings.masks.as_ref();
    if args.sql {
        let statement = copy_out_sql(&template, &query, masks);
        context.print(&statement);
        context.print_json(&json!({"schema": "dayhaul.template.preview/1", "sql": statement}));
        return Ok(exit::OK);
    }

    let place = || format!("template `{}`", template.name);
    let session = probe::session::open(&tenant, &settings).await.at(place)?;
    let at_tenant = || format!("tenant `{}`", tenant.name);
    let columns = pg::describe(&session, &query).await;
    let columns = columns.at(place).at(at_tenant)?;
    check_source(&template, &columns).at(place).at(at_tenant)?;
    let statement = format!(
        "{} LIMIT {}",
        select_sql(&template, &query, masks),
        args.limit
    );
    let rows = session.simple(&statement).await.at(place).at(at_tenant)?;

    context.print(table(&rows));
    if rows.rows.is_empty() {
        context.note(format!("no rows on {} (UTC)", args.day));
    }
    context.print_json(&json!({
        "schema": "dayhaul.template.preview/1",
        "columns": rows.columns,
        "rows": rows.rows,
    }));
    Ok(exit::OK)
}

/// Anything with a slash or the ending `.sql` is a file.
async fn find(named: &str, catalog: &Catalog) -> Result<Template> {
    let path = Path::new(named);
    let is_file = named.contains('/') || path.extension().is_some_and(|e| e == "sql");
    if is_file {
        let file = TemplateFile::read(path)?;
        return Template::parse(file.name, &file.source).at(|| format!("`{}`", file.shown));
    }
    let name = TemplateName::parse(named)
        .map_err(|e: Error| e.with_hint("for a file, give its path, such as `templates/x.sql`"))?;
    Ok(templates::get(catalog.session(), &name).await?.template)
}

fn table(rows: &SimpleRows) -> String {
    let headings: Vec<&str> = rows.columns.iter().map(String::as_str).collect();
    let mut sheet = Sheet::new(&headings);
    for row in &rows.rows {
        // As in psql, null and the empty string look the same; --json distinguishes them.
        sheet.row(row.iter().map(|value| value.clone().unwrap_or_default()));
    }
    sheet.render()
}
