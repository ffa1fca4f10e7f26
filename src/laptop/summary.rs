//! A laptop for people and programs: what is masked, how to connect, how to stop it.

use super::fill::FilledLaptop;
use super::home::Home;
use crate::catalog::Pair;
use crate::engine::locks::held_pairs::HeldPairs;
use crate::report::table::Sheet;
use crate::report::{exit_code, run_json};
use crate::template::Template;
use serde::Serialize;
use std::collections::BTreeMap;

fn templates(pairs: &[Pair]) -> impl Iterator<Item = &Template> {
    let by_name: BTreeMap<&str, &Template> = pairs
        .iter()
        .map(|pair| (pair.template.name.as_str(), &*pair.template))
        .collect();
    by_name.into_values()
}

/// A masked column.
#[derive(Debug, Serialize)]
pub struct MaskedColumn<'a> {
    template: &'a str,
    column: &'a str,
    #[serde(rename = "type")]
    ty: String,
    mask: &'static str,
}

fn masks(pairs: &[Pair]) -> Vec<MaskedColumn<'_>> {
    templates(pairs).flat_map(masks_of).collect()
}

fn masks_of(template: &Template) -> impl Iterator<Item = MaskedColumn<'_>> {
    template.columns.iter().filter_map(|c| {
        Some(MaskedColumn {
            template: template.name.as_str(),
            column: &c.name,
            ty: c.ty.to_string(),
            mask: c.mask?.as_str(),
        })
    })
}

/// The masked columns as a table; `None` when there are none.
pub fn masked(pairs: &[Pair]) -> Option<String> {
    let masks = masks(pairs);
    if masks.is_empty() {
        return None;
    }
    let mut sheet = Sheet::new(&["template", "column", "type", "mask"]);
    for m in masks {
        sheet.row([
            m.template.to_owned(),
            m.column.to_owned(),
            m.ty,
            m.mask.to_owned(),
        ]);
    }
    Some(format!(
        "\nMasked by the tenants' servers:\n{}",
        sheet.render()
    ))
}

/// Templates without masked columns.
pub fn without_masks(pairs: &[Pair]) -> impl Iterator<Item = &str> {
    templates(pairs)
        .filter(|template| template.columns.iter().all(|c| c.mask.is_none()))
        .map(|template| template.name.as_str())
}

/// How to connect, and how to stop it.
pub fn how_to_use(home: &Home) -> String {
    let dir = home.dir().display();
    let ways = format!(
        "\nPostgreSQL {} runs on port {} of 127.0.0.1:\n  psql '{}'\n  dayhaul --config '{}' verify",
        home.version(),
        home.port(),
        home.readers_url(),
        home.configuration().display(),
    );
    if !home.is_kept() {
        return format!(
            "{ways}\nEnter or Ctrl-C stops the server and removes everything; `--keep` keeps it."
        );
    }
    format!(
        "{ways}\nIt is kept. Run the same command again to refresh it; to stop, start and remove it:\n  \
         dayhaul laptop '{dir}' --stop\n  dayhaul laptop '{dir}' --start\n  dayhaul laptop '{dir}' --stop && rm -r '{dir}'"
    )
}

/// `dayhaul.laptop/1`.
#[derive(Debug, Serialize)]
pub struct LaptopJson<'a> {
    schema: &'static str,
    #[serde(flatten)]
    access: Access,
    masked: Vec<MaskedColumn<'a>>,
    /// As in the JSON of `backfill` and `refresh`.
    run: run_json::RunJson<'a>,
}

/// `dayhaul.laptop/1` of `--start` and `--stop`.
#[derive(Debug, Serialize)]
pub struct ServerStateJson {
    schema: &'static str,
    running: bool,
    #[serde(flatten)]
    access: Access,
}

#[derive(Debug, Serialize)]
struct Access {
    dir: String,
    config: String,
    kept: bool,
    /// Null when the server does not run.
    port: Option<u16>,
    /// Without a password, but with the file that contains it.
    url: Option<String>,
}

impl Access {
    fn of(home: &Home, running: bool) -> Access {
        Access {
            dir: home.dir().display().to_string(),
            config: home.configuration().display().to_string(),
            kept: home.is_kept(),
            port: running.then(|| home.port()),
            url: running.then(|| home.readers_url()),
        }
    }
}

impl<'a> LaptopJson<'a> {
    pub fn new(home: &Home, loaded: &'a FilledLaptop) -> LaptopJson<'a> {
        LaptopJson {
            schema: "dayhaul.laptop/1",
            access: Access::of(home, true),
            masked: masks(&loaded.pairs),
            run: run_json::RunJson::new(
                loaded.command,
                &loaded.report,
                exit_code(&loaded.report, HeldPairs::REPORT),
            ),
        }
    }
}

impl ServerStateJson {
    pub fn new(home: &Home, running: bool) -> ServerStateJson {
        ServerStateJson {
            schema: "dayhaul.laptop/1",
            running,
            access: Access::of(home, running),
        }
    }
}
