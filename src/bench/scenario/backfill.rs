//! The first load of a period.

use super::{Compare, Entrant, Role, Scenario};
use crate::bench::contestant::convert::Convert;
use crate::bench::contestant::dayhaul::{Dayhaul, Variant};
use crate::bench::contestant::dblink::{Best, DayViews};
use crate::bench::contestant::fdw::ForeignTable;
use crate::bench::contestant::limit::Limit;
use crate::bench::contestant::psql::Pipe;
use crate::bench::ground::Ground;

pub fn first(ground: &Ground) -> Scenario {
    let days = ground.window;
    let entrant = |role| {
        move |contestant| Entrant {
            contestant,
            ..Entrant::new(Limit, role, days)
        }
    };
    let others: Vec<Box<dyn super::Contestant>> = vec![
        Box::new(DayViews { many: true }),
        Box::new(Best),
        Box::new(ForeignTable),
        Box::new(Pipe),
        Box::new(Dayhaul::backfill(Variant::AsIs)),
        Box::new(Dayhaul::backfill(Variant::DayTables)),
        Box::new(Dayhaul::backfill(Variant::Landing)),
    ];
    let mut entrants = vec![Entrant::new(DayViews { many: false }, Role::Baseline, days)];
    entrants.extend(others.into_iter().map(entrant(Role::Contestant)));
    entrants.push(Entrant::new(Limit, Role::Limit, days));
    Scenario {
        name: "backfill",
        title: format!("First backfill of {} past days", days.len()),
        question: "An empty warehouse gets a tenant's past days, with all indexes of the template."
            .into(),
        compare: Compare::Seconds,
        also: &[],
        change: None,
        shared: None,
        entrants,
    }
}

pub fn years(ground: &Ground) -> Scenario {
    let days = ground.window;
    Scenario {
        name: "backfill-years",
        title: format!("First backfill of {} past days, into yearly tables", days.len()),
        question: "The same until closed days stand in yearly tables: with dblink, a conversion follows; Dayhaul loads closed \
                   days there at once, and the latest stay day tables."
            .into(),
        compare: Compare::Seconds,
        also: &[],
        change: None,
        shared: None,
        entrants: vec![
            Entrant::new(Convert { load: true }, Role::Baseline, days),
            Entrant::new(Dayhaul::backfill(Variant::AsIs), Role::Contestant, days),
        ],
    }
}
