//! `dayhaul bench --list`: the scenarios and contestants.

use crate::bench::contestant::choices::CONTESTANTS;
use crate::bench::scenario::choices::SCENARIOS;
use crate::cli::context::Context;
use crate::error::{Result, exit};
use crate::report::table::Sheet;
use serde_json::json;

pub fn run(context: &Context) -> Result<u8> {
    let mut scenarios = Sheet::new(&["scenario", ""]);
    for scenario in SCENARIOS {
        scenarios.row([scenario.name.to_owned(), scenario.about.to_owned()]);
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
        "scenarios": SCENARIOS.map(|s| object(s.name, s.about)),
        "contestants": CONTESTANTS.map(|(name, about)| object(name, about)),
    }));
    Ok(exit::OK)
}
