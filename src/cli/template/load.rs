//! `dayhaul template load`.

use super::file::TemplateFile;
use crate::catalog::registry::pairs;
use crate::catalog::registry::relations::{self, Relation, RelationKind};
use crate::catalog::registry::templates::{self, Loaded};
use crate::catalog::registry::tenants;
use crate::catalog::registry::windows;
use crate::catalog::{Catalog, Selection};
use crate::cli::context::Context;
use crate::cli::today::TodayArgs;
use crate::cli::window_proof::windows_of;
use crate::config::Settings;
use crate::engine::window::window_check::ways_out;
use crate::error::{At, Error, Kind, Result, exit};
use crate::report::numbers::counted;
use crate::schema::arrow::arrow_schema;
use crate::template::{Finding, Template, lint};
use crate::unit::{Day, TemplateName, TenantName};
use crate::warehouse::namesake;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Tenants whose rows are compared, until one has enough of them.
const TENANTS_ASKED: usize = 3;

const EXAMPLES: &str = "\
Either all files are loaded or none.

Examples:
  dayhaul template load templates/flights.sql
  dayhaul template load templates/*.sql --all-tenants";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Template files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Enable the templates for all enabled tenants
    #[arg(long)]
    all_tenants: bool,
    /// Refuse templates with columns that cannot be written as Parquet
    #[arg(long)]
    landing: bool,
    /// Do not compare windows of several days with single days before the first loads; recorded
    #[arg(long)]
    assume_window_safe: bool,
    #[command(flatten)]
    today: TodayArgs,
}

/// A file that was loaded.
struct LoadedFile {
    template: Template,
    loaded: Loaded,
    enabled: Vec<TenantName>,
    /// Tables whose indexes differ from those of the template now.
    kept: Vec<Relation>,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let read = args.files.iter().map(|path| readable(path, context));
    let loading = read.collect::<Result<Vec<Template>>>()?;
    if args.landing {
        for template in &loading {
            arrow_schema(&template.columns)
                .at(|| format!("template `{}`", template.name))
                .at(|| "nothing was loaded".to_owned())?;
        }
    }
    let settings = context.settings()?;
    let catalog = Catalog::open(&settings).await?;
    if !args.assume_window_safe {
        refuse_windows_that_differ(&catalog, &loading, &settings, args.today.day(), context)
            .await?;
    }
    // All files or none: a deployment is never half done.
    let done = catalog
        .transaction(async |session| {
            let mut done = Vec::new();
            for template in loading {
                let before = templates::find_readable(session, &template.name).await?;
                if before.is_none() && !templates::is_there(session, &template.name).await? {
                    refuse_name_of_table(&template.name)?;
                }
                let loaded = templates::load(session, &template).await?;
                let kept = match before {
                    Some(before) if indexes(&before.template) != indexes(&template) => {
                        relations::tables_of_template(session, &template.name).await?
                    }
                    _ => Vec::new(),
                };
                let enabled = if args.all_tenants {
                    templates::enable_everywhere(session, &template.name).await?
                } else {
                    Vec::new()
                };
                if args.assume_window_safe {
                    let version = template.version();
                    windows::assume_everywhere(session, &template.name, version).await?;
                }
                done.push(LoadedFile {
                    template,
                    loaded,
                    enabled,
                    kept,
                });
            }
            Ok(done)
        })
        .await?;
    for one in &done {
        context.print(one.line());
        if let Some(note) = one.note() {
            context.note(note);
        }
    }
    warn_of_missing_variables(&catalog, &done, context).await?;
    context.print_json(&json!({
        "schema": "dayhaul.template.load/1",
        "templates": done.iter().map(LoadedFile::json).collect::<Vec<_>>(),
    }));
    Ok(exit::OK)
}

/// A view of that name would stand where another template's table belongs. A template that is in the catalog stays.
fn refuse_name_of_table(name: &TemplateName) -> Result<()> {
    match namesake(name) {
        Some(other) => Err(Error::refused(format!(
            "template `{name}` has a name that a table of a template `{other}` would have"
        ))
        .at("nothing was loaded")
        .with_hint(format!(
            "choose a name that does not end in a year or a day: `{other}_old`, for instance"
        ))),
        None => Ok(()),
    }
}

/// Compares windows with single days where a template is enabled already, at the first tenant that can be asked. The other
/// tenants' rows are compared before their next load.
async fn refuse_windows_that_differ(
    catalog: &Catalog,
    loading: &[Template],
    settings: &Settings,
    today: Day,
    context: &Context,
) -> Result<()> {
    for template in loading {
        let known = templates::find_readable(catalog.session(), &template.name).await?;
        if known.is_none_or(|known| known.template.version() == template.version()) {
            continue;
        }
        let selection = Selection {
            tenants: Vec::new(),
            templates: vec![template.name.clone()],
        };
        let enabled = pairs::enabled(catalog.session(), &selection).await?;
        for mut pair in enabled.into_iter().take(TENANTS_ASKED) {
            pair.template = Arc::new(template.clone());
            let found = windows_of(&pair, settings, today, context).await;
            let found = found.map_err(|error| match error.kind() {
                Kind::Refused => error
                    .at("nothing was loaded")
                    .with_hint(ways_out(&template.name, "add `--assume-window-safe`")),
                _ => error,
            })?;
            if found.is_some() {
                break;
            }
        }
    }
    Ok(())
}

/// The template of a file in which lint finds no error; warnings are shown.
fn readable(path: &std::path::Path, context: &Context) -> Result<Template> {
    let file = TemplateFile::read(path)?;
    let findings = lint(&file.name, &file.source);
    for finding in &findings {
        context.note(finding.render(&file.shown, &file.source));
    }
    if let Some(error) = findings.into_iter().find(Finding::is_error) {
        return Err(Error::from(error)
            .at(format!("`{}`", file.shown))
            .at("nothing was loaded"));
    }
    Template::parse(file.name, &file.source).at(|| format!("`{}`", file.shown))
}

/// A tenant without a variable, or a schema, that the query uses would fail in the next run.
async fn warn_of_missing_variables(
    catalog: &Catalog,
    done: &[LoadedFile],
    context: &Context,
) -> Result<()> {
    let needs_none = |t: &Template| t.variables().is_empty() && !t.uses_schema();
    if done.iter().all(|d| needs_none(&d.template)) {
        return Ok(());
    }
    let tenants = tenants::list(catalog.session()).await?;
    for LoadedFile { template, .. } in done {
        let enabled = templates::get(catalog.session(), &template.name)
            .await?
            .tenants;
        for tenant in tenants
            .iter()
            .filter(|t| enabled.iter().any(|h| h == t.name.as_str()))
        {
            if template.uses_schema() && tenant.source_schema.is_none() {
                context.warn(format!(
                    "template `{0}` uses `{{schema}}`, which tenant `{1}` does not have; set it with \
                     `dayhaul tenant set {1} --source-schema SCHEMA`",
                    template.name, tenant.name
                ));
            }
            for variable in template.variables() {
                if !tenant.vars.contains_key(variable) {
                    context.warn(format!(
                        "template `{}` uses `{{var:{variable}}}`, which tenant `{}` does not have",
                        template.name, tenant.name
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The part of a template that determines the indexes of its tables.
fn indexes(template: &Template) -> (&[String], &[Vec<String>]) {
    (&template.unique, &template.indexes)
}

impl LoadedFile {
    /// Which tables do not have the template's indexes, and how to get them.
    fn note(&self) -> Option<String> {
        let name = &self.template.name;
        let first = self.kept.first()?;
        let years: BTreeSet<i32> = self
            .kept
            .iter()
            .filter(|table| table.kind == RelationKind::Year)
            .filter_map(|table| Some(table.window?.from.year()))
            .collect();
        let mut note = format!(
            "{name}: the indexes changed; new tables get them, but {} (`{}.{}` …) {} the old ones",
            counted(self.kept.len() as u64, "table"),
            first.schema,
            first.name,
            if self.kept.len() == 1 {
                "keeps"
            } else {
                "keep"
            },
        );
        for year in &years {
            note += &format!(
                "\n  `dayhaul rebuild --template {name} --year {year}` rebuilds the tables of {year}"
            );
        }
        if self
            .kept
            .iter()
            .any(|table| table.kind == RelationKind::Day)
        {
            note += "\n  day tables are dropped when their days are folded";
        }
        Some(note)
    }

    fn line(&self) -> String {
        let what = match &self.loaded {
            Loaded::New => "new".to_owned(),
            Loaded::Unchanged => "unchanged".to_owned(),
            Loaded::SameVersion => "text changed but not the rows: same version".to_owned(),
            Loaded::Changed { from, units } => {
                let mut text = format!("changed, was version {from}");
                if *units > 0 {
                    let units = counted(u64::try_from(*units).unwrap_or(0), "unit");
                    text.push_str(&format!(
                        "; {units} loaded with other versions are not changed"
                    ));
                }
                text
            }
        };
        let mut line = format!(
            "{}: version {}, {what}",
            self.template.name,
            self.template.version()
        );
        if !self.enabled.is_empty() {
            let names: Vec<&str> = self.enabled.iter().map(TenantName::as_str).collect();
            line.push_str(&format!("; enabled for {}", names.join(", ")));
        }
        line
    }

    fn json(&self) -> Value {
        let (outcome, from) = match &self.loaded {
            Loaded::New => ("new", None),
            Loaded::Unchanged => ("unchanged", None),
            Loaded::SameVersion => ("same_version", None),
            Loaded::Changed { from, .. } => ("changed", Some(from)),
        };
        json!({
            "name": self.template.name.as_str(),
            "version": self.template.version(),
            "outcome": outcome,
            "previous_version": from,
            "tables_with_former_indexes": self
                .kept
                .iter()
                .map(|table| format!("{}.{}", table.schema, table.name))
                .collect::<Vec<_>>(),
            "enabled_for": self.enabled.iter().map(TenantName::as_str).collect::<Vec<_>>(),
        })
    }
}
