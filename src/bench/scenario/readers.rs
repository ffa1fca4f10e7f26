//! How long readers wait.

use super::{
    Entrant, EntrantRole, ExpectedRows, ExtraMetric, RatioBasis, SandboxChoice, Scenario,
    SharedSandbox,
};
use crate::bench::contestant::readers::{Question, ReadFrom, Reader, set_up};
use crate::bench::environment::Environment;

pub fn all(environment: &Environment) -> Scenario {
    let (days, tenants) = (environment.window(), environment.workload.tenants);
    let entrants = Question::ALL.into_iter().flat_map(|question| {
        [
            (ReadFrom::DayViews, EntrantRole::Baseline),
            (ReadFrom::PublicView, EntrantRole::Contestant),
        ]
        .map(|(from, role)| Entrant {
            group: question.title().to_owned(),
            tenants,
            expected: ExpectedRows::Group,
            place: SandboxChoice::Shared,
            ..Entrant::new(Reader { question, from }, role, days)
        })
    });
    Scenario {
        name: "readers",
        title: format!("Readers' queries over {tenants} tenants × {} days", days.len()),
        question: "The same rows with the same indexes in one database, all vacuumed and analyzed: once as Dayhaul stores them, \
                   and once as a view over one materialized view per tenant and day."
            .into(),
        compare: RatioBasis::Seconds,
        also: &[ExtraMetric::Locks],
        shared: Some(SharedSandbox {
            tenants,
            window: days,
            set_up,
        }),
        entrants: entrants.collect(),
    }
}
