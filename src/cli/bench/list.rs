//! `dayhaul bench --list`: the scenarios and contestants.

use crate::bench::contestant::CONTESTANTS;
use crate::bench::scenario::SCENARIOS;
use crate::cli::context::Context;
use crate::error::{Result, exit};
use crate::report::table::Sheet;
use serde_json::json;

pub fn run(context: &Context) -> Result<u8> {
    let mut scenarios = Sheet::new(&["scenario", ""]);
    for (name, about, ..) in SCENARIOS {
        scenarios.row([name.to_owned(), about.to_owned()]);
    }
    let mut contestants = Sheet::new(&["contestant", ""]);
    for (name, about) in CONTESTANTS {
        contestants.row([name.to_owned(), about.to_owned()]);
    }
    context.print(format!(
        "{}\n\n{}",
        scenarios.render(),
        contestants.render()
    ));
    let object = |name: &str, about: &str| json!({ "name": name, "about": about });
    context.print_json(&json!({
        "schema": "dayhaul.bench.list/1",
        "scenarios": SCENARIOS.map(|(name, about, ..)| object(name, about)),
        "contestants": CONTESTANTS.map(|(name, about)| object(name, about)),
    }));
    Ok(exit::OK)
}
