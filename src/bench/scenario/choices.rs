//! The scenarios that can be chosen by name.

use super::{Scenario, backfill, fleet, fold, growth, readers, refresh};
use crate::bench::environment::{Environment, TenantData};

/// A scenario that can be chosen by name.
#[derive(Clone, Copy)]
pub struct ScenarioChoice {
    pub name: &'static str,
    pub about: &'static str,
    pub build: fn(&Environment) -> Scenario,
    /// It changes rows at the source, or needs several tenants.
    pub needs_private_servers: bool,
    /// What private servers have for it. Scenarios with the same can be run together.
    pub data: TenantData,
    /// It compares connections and statements.
    pub counts_clients: bool,
}

pub const SCENARIOS: [ScenarioChoice; 10] = [
    ScenarioChoice {
        name: "backfill",
        about: "the first load of a period",
        build: backfill::first,
        needs_private_servers: false,
        data: TenantData::FoodLog,
        counts_clients: false,
    },
    ScenarioChoice {
        name: "backfill-years",
        about: "the same, until closed days are in year tables",
        build: backfill::years,
        needs_private_servers: false,
        data: TenantData::FoodLog,
        counts_clients: false,
    },
    ScenarioChoice {
        name: "refresh",
        about: "a nightly refresh of 14 days without changes",
        build: refresh::unchanged,
        needs_private_servers: false,
        data: TenantData::FoodLog,
        counts_clients: false,
    },
    ScenarioChoice {
        name: "refresh-late",
        about: "the same with one late row in one of the days",
        build: refresh::late,
        needs_private_servers: true,
        data: TenantData::FoodLog,
        counts_clients: false,
    },
    ScenarioChoice {
        name: "hourly",
        about: "a refresh of a day that grew by 4 %: wall time and WAL",
        build: refresh::hourly,
        needs_private_servers: true,
        data: TenantData::FoodLog,
        counts_clients: false,
    },
    ScenarioChoice {
        name: "fold",
        about: "moving day relations into year tables",
        build: fold::all,
        needs_private_servers: false,
        data: TenantData::FoodLog,
        counts_clients: false,
    },
    ScenarioChoice {
        name: "readers",
        about: "five queries over all tenants: time, planning, locks",
        build: readers::all,
        needs_private_servers: true,
        data: TenantData::FoodLog,
        counts_clients: false,
    },
    ScenarioChoice {
        name: "growth-days",
        about: "the cost of a day as the period grows to twelve times its length",
        build: growth::days,
        needs_private_servers: false,
        data: TenantData::FoodLog,
        counts_clients: true,
    },
    ScenarioChoice {
        name: "growth-tenants",
        about: "the cost of a tenant as their number grows to ten",
        build: growth::tenants,
        needs_private_servers: true,
        data: TenantData::FoodLog,
        counts_clients: true,
    },
    ScenarioChoice {
        name: "fleet",
        about: "a hundred small tenants: backfill, hourly and nightly runs, readers at once; only if it is asked for",
        build: fleet::all,
        needs_private_servers: true,
        data: TenantData::Events,
        counts_clients: true,
    },
];
