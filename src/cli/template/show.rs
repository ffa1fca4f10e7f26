//! `dayhaul template show`.

use super::list;
use crate::catalog::Catalog;
use crate::catalog::registry::templates::{self, Registered, Version};
use crate::cli::context::Context;
use crate::error::{Result, exit};
use crate::report::numbers::{count, counted};
use crate::report::table::Sheet;
use crate::schema::Mask;
use crate::template::Template;
use crate::unit::TemplateName;
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  dayhaul template show flights
  dayhaul template show flights --versions";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The template's name
    name: TemplateName,
    /// List all versions
    #[arg(long)]
    versions: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let catalog = Catalog::open(&context.settings()?).await?;
    let registered = templates::get(catalog.session(), &args.name).await?;
    let versions = if args.versions {
        Some(templates::versions(catalog.session(), &args.name).await?)
    } else {
        None
    };
    context.print(match &versions {
        Some(versions) => versions_table(versions),
        None => page(&registered),
    });
    context.print_json(&to_json(&registered, versions.as_deref()));
    Ok(exit::OK)
}

fn page(registered: &Registered) -> String {
    let template = &registered.template;
    let indexes: Vec<String> = template
        .indexes
        .iter()
        .map(|i| format!("({})", i.join(", ")))
        .collect();
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let mut facts = Sheet::new(&["template", template.name.as_str()]);
    for (what, value) in [
        ("description", template.description.clone()),
        ("version", template.version().to_owned()),
        (
            "loaded",
            registered
                .loaded_at
                .format("%Y-%m-%d %H:%M:%S UTC")
                .to_string(),
        ),
        ("tenants", list(&registered.tenants)),
        ("time column", template.time_column.clone()),
        ("unique", list(&template.unique)),
        ("indexes", indexes.join(", ")),
        ("lookback", counted(template.lookback_days.into(), "day")),
        ("open", counted(template.open_days.into(), "day")),
    ] {
        facts.row([what.to_owned(), value]);
    }
    format!(
        "{}\n\n{}\n\n{}",
        facts.render(),
        columns_table(template),
        template.query
    )
}

fn columns_table(template: &Template) -> String {
    let mut sheet = Sheet::new(&["column", "type", ""]);
    for column in &template.columns {
        // Only a type with a precision is rounded; only a type without one has a Parquet type in the template.
        let rounds = column.round.then(|| "the source may round".to_owned());
        let lands = column.land.map(|land| format!("{land} in Parquet"));
        let masked = column.mask.map(|mask| format!("{mask} on a laptop"));
        let remarks: Vec<String> = rounds.into_iter().chain(lands).chain(masked).collect();
        sheet.row([
            column.name.clone(),
            column.ty.to_string(),
            remarks.join("; "),
        ]);
    }
    sheet.render()
}

fn versions_table(versions: &[Version]) -> String {
    let mut sheet = Sheet::new(&["version", "first loaded (UTC)", ">units"]);
    for v in versions {
        sheet.row([
            v.version.clone(),
            v.loaded_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            count(u64::try_from(v.units).unwrap_or(0)),
        ]);
    }
    sheet.render()
}

fn to_json(registered: &Registered, versions: Option<&[Version]>) -> Value {
    let template = &registered.template;
    let columns = template.columns.iter().map(|c| {
        json!({
            "name": c.name,
            "type": c.ty.to_string(),
            "round": c.round,
            "land": c.land.map(|land| land.to_string()),
            "mask": c.mask.map(Mask::as_str),
        })
    });
    let mut all = list::summary(registered);
    all["schema"] = "dayhaul.template.show/1".into();
    all["columns"] = columns.collect();
    all["unique"] = json!(template.unique);
    all["indexes"] = json!(template.indexes);
    all["lookback_days"] = template.lookback_days.into();
    all["open_days"] = template.open_days.into();
    all["source"] = template.source.as_str().into();
    if let Some(versions) = versions {
        let version = |v: &Version| {
            json!({
                "version": v.version,
                "loaded_at": v.loaded_at.to_rfc3339(),
                "units": v.units,
                "source": v.source,
            })
        };
        all["versions"] = versions.iter().map(version).collect();
    }
    all
}
