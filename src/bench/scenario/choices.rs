//! The scenarios that can be chosen by name.

use super::{Scenario, backfill, fold, growth, readers, refresh};
use crate::bench::environment::Environment;

/// A scenario that can be chosen by name.
#[derive(Clone, Copy)]
pub struct ScenarioChoice {
    pub name: &'static str,
    pub about: &'static str,
    pub build: fn(&Environment) -> Scenario,
    /// It changes rows at the source, or needs several tenants.
    pub needs_private_servers: bool,
}

pub const SCENARIOS: [ScenarioChoice; 9] = [
    ScenarioChoice {
        name: "backfill",
        about: "the first load of a period",
        build: backfill::first,
        needs_private_servers: false,
    },
    ScenarioChoice {
        name: "backfill-years",
        about: "the same, until closed days are in year tables",
        build: backfill::years,
        needs_private_servers: false,
    },
    ScenarioChoice {
        name: "refresh",
        about: "a nightly refresh of 14 days without changes",
        build: refresh::unchanged,
        needs_private_servers: false,
    },
    ScenarioChoice {
        name: "refresh-late",
        about: "the same with one late row in one of the days",
        build: refresh::late,
        needs_private_servers: true,
    },
    ScenarioChoice {
        name: "hourly",
        about: "a refresh of a day that grew by 4 %: wall time and WAL",
        build: refresh::hourly,
        needs_private_servers: true,
    },
    ScenarioChoice {
        name: "fold",
        about: "moving day relations into year tables",
        build: fold::all,
        needs_private_servers: false,
    },
    ScenarioChoice {
        name: "readers",
        about: "five queries over all tenants: time, planning, locks",
        build: readers::all,
        needs_private_servers: true,
    },
    ScenarioChoice {
        name: "growth-days",
        about: "the cost of a day as the period grows to twelve times its length",
        build: growth::days,
        needs_private_servers: false,
    },
    ScenarioChoice {
        name: "growth-tenants",
        about: "the cost of a tenant as their number grows to ten",
        build: growth::tenants,
        needs_private_servers: true,
    },
];
