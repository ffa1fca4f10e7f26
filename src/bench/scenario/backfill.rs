//! The first load of a period.

use super::{Entrant, EntrantRole, RatioBasis, Scenario};
use crate::bench::contestant::convert::Convert;
use crate::bench::contestant::dayhaul::{Dayhaul, Variant};
use crate::bench::contestant::dblink::{Best, DayViews};
use crate::bench::contestant::fdw::ForeignTable;
use crate::bench::contestant::limit::Limit;
use crate::bench::contestant::psql::Pipe;
use crate::bench::environment::Environment;

pub fn first(environment: &Environment) -> Scenario {
    let days = environment.window();
    let entrant = |role| {
        move |contestant| Entrant {
            contestant,
            ..Entrant::new(Limit, role, days)
        }
    };
    let others: Vec<Box<dyn super::Contestant>> = vec![
        Box::new(DayViews { jobs: true }),
        Box::new(Best),
        Box::new(ForeignTable),
        Box::new(Pipe::Days),
        Box::new(Pipe::Bulk),
        Box::new(Dayhaul::backfill(Variant::Default)),
        Box::new(Dayhaul::backfill(Variant::DayTables)),
        Box::new(Dayhaul::backfill(Variant::Landing)),
    ];
    let mut entrants = vec![Entrant::new(
        DayViews { jobs: false },
        EntrantRole::Baseline,
        days,
    )];
    entrants.extend(others.into_iter().map(entrant(EntrantRole::Contestant)));
    entrants.push(Entrant::new(Limit, EntrantRole::Limit, days));
    Scenario {
        name: "backfill",
        title: format!("First backfill of {} past days", days.len()),
        question: "A tenant's past days are loaded into an empty warehouse, with all indexes of the template."
            .into(),
        compare: RatioBasis::Seconds,
        also: &[],
        shared: None,
        entrants,
    }
}

pub fn years(environment: &Environment) -> Scenario {
    let days = environment.window();
    Scenario {
        name: "backfill-years",
        title: format!("First backfill of {} past days into year tables", days.len()),
        question: "The same, until closed days are in year tables. With dblink, a conversion follows. Dayhaul loads closed \
                   days directly into year tables; the latest days remain day tables."
            .into(),
        compare: RatioBasis::Seconds,
        also: &[],
        shared: None,
        entrants: vec![
            Entrant::new(Convert { load: true }, EntrantRole::Baseline, days),
            Entrant::new(Dayhaul::backfill(Variant::Default), EntrantRole::Contestant, days),
        ],
    }
}
