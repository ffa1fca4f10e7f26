//! `dayhaul template list`.

use crate::catalog::Catalog;
use crate::catalog::registry::templates::{self, Registered};
use crate::cli::context::Context;
use crate::error::{Result, exit};
use crate::report::table::Sheet;
use serde_json::{Value, json};

/// Hex digits that are enough to distinguish the versions of a template.
const SHORT: usize = 12;

pub async fn run(context: &Context) -> Result<u8> {
    let catalog = Catalog::open(&context.settings()?).await?;
    let all = templates::list(catalog.session()).await?;
    if all.is_empty() {
        context.note("there are no templates; load one with `dayhaul template load FILE`");
    } else {
        context.print(table(&all));
    }
    context.print_json(&json!({
        "schema": "dayhaul.template.list/1",
        "templates": all.iter().map(summary).collect::<Vec<_>>(),
    }));
    Ok(exit::OK)
}

fn table(all: &[Registered]) -> String {
    let mut sheet = Sheet::new(&[
        "template",
        "version",
        "time column",
        ">columns",
        ">tenants",
        "loaded (UTC)",
        "description",
    ]);
    for r in all {
        sheet.row([
            r.template.name.to_string(),
            r.template.version()[..SHORT].to_owned(),
            r.template.time_column.clone(),
            r.template.columns.len().to_string(),
            r.tenants.len().to_string(),
            r.loaded_at.format("%Y-%m-%d %H:%M").to_string(),
            r.template.description.clone(),
        ]);
    }
    sheet.render()
}

/// The JSON that `list` and `show` share.
pub fn summary(registered: &Registered) -> Value {
    let template = &registered.template;
    json!({
        "name": template.name.as_str(),
        "version": template.version(),
        "description": template.description,
        "time_column": template.time_column,
        "columns": template.columns.len(),
        "tenants": registered.tenants,
        "loaded_at": registered.loaded_at.to_rfc3339(),
    })
}
