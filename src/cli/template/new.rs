//! `dayhaul template new`.

use super::file::read_text;
use super::lint::{print_findings, to_json};
use crate::catalog::Catalog;
use crate::catalog::registry::tenants;
use crate::cli::context::Context;
use crate::cli::today::TodayArgs;
use crate::error::{At, Error, Kind, Result, exit};
use crate::probe::session;
use crate::template::{self, Draft};
use crate::unit::{TemplateName, TenantName};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  dayhaul template new flights --query flights.sql --tenant acme
  dayhaul template new orders --query q.sql --tenant acme --time-column created";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The template's name, also used for its tables and views
    name: TemplateName,
    /// File with the query
    #[arg(long, value_name = "FILE")]
    query: PathBuf,
    /// Tenant to infer the columns from
    #[arg(long, value_name = "T")]
    tenant: TenantName,
    /// The column that decides a row's day [default: the only date or time column]
    #[arg(long, value_name = "C")]
    time_column: Option<String>,
    /// File to write [default: templates/NAME.sql]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    today: TodayArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let out = match args.out {
        Some(out) => out,
        None => PathBuf::from("templates").join(format!("{}.sql", args.name)),
    };
    if out.exists() && !args.force {
        return Err(refuse_to_overwrite(&out));
    }
    let query = read_text(&args.query)?;
    let settings = context.settings()?;
    let catalog = Catalog::open(&settings).await?;
    let tenant = tenants::get(catalog.session(), &args.tenant).await?;

    let place = || format!("`{}`", args.query.display());
    let yesterday = session::yesterday(&tenant, args.today.day());
    let bound = template::bind_query(&query, &yesterday).at(place)?;
    let columns = session::describe(&tenant, &settings, &bound)
        .await
        .at(place)?;
    let draft = Draft::new(&query, &columns, args.time_column.as_deref()).at(place)?;
    let text = draft.to_source(&args.name).at(place)?;
    write(&out, &text, args.force)?;

    let shown = out.display().to_string();
    context.print(format!("wrote {shown}"));
    let findings = template::lint(&args.name, &text);
    print_findings(context, &shown, &text, &findings);
    context.print(if findings.iter().any(template::Finding::is_error) {
        format!(
            "next: fix the file, then run `dayhaul template lint {shown} --tenant {}`",
            tenant.name
        )
    } else {
        format!("next: run `dayhaul template load {shown}`")
    });
    context.print_json(&json!({
        "schema": "dayhaul.template.new/1",
        "file": shown,
        "findings": to_json(&shown, &findings),
    }));
    Ok(exit::OK)
}

fn refuse_to_overwrite(out: &Path) -> Error {
    Error::refused(format!("`{}` already exists", out.display()))
        .with_hint("overwrite it with `--force`, or choose another file with `--out`")
}

fn write(out: &Path, text: &str, force: bool) -> Result<()> {
    let failed = |e: std::io::Error| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            return refuse_to_overwrite(out);
        }
        Error::new(Kind::Io, format!("failed to write `{}`", out.display())).with_source(e)
    };
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.open(out).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
