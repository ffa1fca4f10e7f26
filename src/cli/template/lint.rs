//! `dayhaul template lint`.

use super::file::TemplateFile;
use crate::catalog::registry::tenants;
use crate::catalog::{Catalog, Tenant};
use crate::cli::context::Context;
use crate::cli::today::TodayArgs;
use crate::config::Settings;
use crate::error::{Error, Kind, Result, exit};
use crate::probe::session;
use crate::report::numbers::counted;
use crate::template::{Finding, Template, lint, lint_columns};
use crate::unit::{Day, TenantName};
use serde_json::{Value, json};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Any error sets exit code 1.

Examples:
  dayhaul template lint templates/*.sql
  dayhaul template lint templates/flights.sql --tenant acme";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Template files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also compare the columns with those that the query returns at this tenant
    #[arg(long, value_name = "T")]
    tenant: Option<TenantName>,
    #[command(flatten)]
    today: TodayArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let files = args.files.iter().map(|path| TemplateFile::read(path));
    let files = files.collect::<Result<Vec<TemplateFile>>>()?;
    let tenant = match &args.tenant {
        Some(name) => Some(tenant(name, context).await?),
        None => None,
    };
    let today = args.today.day();
    let (mut errors, mut warnings) = (0, 0);
    let mut found = Vec::new();
    for file in &files {
        let mut findings = lint(&file.name, &file.source);
        if let Some((tenant, settings)) = &tenant {
            findings.extend(at_tenant(file, tenant, settings, today).await?);
        }
        findings.sort_by_key(|f| (f.line, f.severity));
        print_findings(context, &file.shown, &file.source, &findings);
        let of_file = findings.iter().filter(|f| f.is_error()).count();
        errors += of_file;
        warnings += findings.len() - of_file;
        found.extend(to_json(&file.shown, &findings));
    }
    context.print(verdict(files.len(), errors, warnings));
    context.print_json(&json!({
        "schema": "dayhaul.template.lint/1",
        "errors": errors,
        "warnings": warnings,
        "findings": found,
    }));
    Ok(if errors == 0 { exit::OK } else { exit::FAILED })
}

async fn tenant(name: &TenantName, context: &Context) -> Result<(Tenant, Settings)> {
    let settings = context.settings()?;
    let catalog = Catalog::open(&settings).await?;
    Ok((tenants::get(catalog.session(), name).await?, settings))
}

/// Findings that need a server. A file that cannot be parsed is reported already; an unreachable tenant is not a finding
/// about the file.
async fn at_tenant(
    file: &TemplateFile,
    tenant: &Tenant,
    settings: &Settings,
    today: Day,
) -> Result<Vec<Finding>> {
    let Ok(template) = Template::parse(file.name.clone(), &file.source) else {
        return Ok(Vec::new());
    };
    let described = match template.bind(&session::yesterday(tenant, today)) {
        Ok(query) => session::describe(tenant, settings, &query).await,
        Err(e) => Err(e),
    };
    match described {
        Ok(columns) => Ok(lint_columns(&template, &columns)),
        Err(e)
            if matches!(e.kind(), Kind::Sql | Kind::Drift | Kind::Config) && !e.is_transient() =>
        {
            Ok(vec![of_error(&template, &e)])
        }
        Err(e) => Err(e),
    }
}

fn of_error(template: &Template, error: &Error) -> Finding {
    let message = error.to_string();
    let line = template.query_line() + line_in_query(&message).map_or(0, |n| n - 1);
    let finding = Finding::error(line, message);
    match error.hint() {
        Some(hint) => finding.help(hint),
        None => finding,
    }
}

/// An error of a description has its line: "line 3 of the query". Binding does not change the query's lines.
fn line_in_query(message: &str) -> Option<usize> {
    let (before, _) = message.split_once(" of the query")?;
    let (_, number) = before.rsplit_once("line ")?;
    number.parse().ok().filter(|n| *n > 0)
}

pub fn print_findings(context: &Context, file: &str, source: &str, findings: &[Finding]) {
    for finding in findings {
        context.print(finding.render(file, source));
    }
}

pub fn to_json(file: &str, findings: &[Finding]) -> Vec<Value> {
    let finding = |f: &Finding| {
        json!({
            "file": file,
            "line": f.line,
            "severity": f.severity.as_str(),
            "message": f.message,
            "help": f.help,
        })
    };
    findings.iter().map(finding).collect()
}

fn verdict(files: usize, errors: usize, warnings: usize) -> String {
    let files = counted(files as u64, "file");
    match (errors, warnings) {
        (0, 0) => format!("{files}: nothing found"),
        _ => format!(
            "{files}: {}, {}",
            counted(errors as u64, "error"),
            counted(warnings as u64, "warning")
        ),
    }
}
