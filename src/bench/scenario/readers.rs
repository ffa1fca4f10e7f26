//! What readers wait for.

use super::{Also, Compare, Entrant, Proof, Role, Scenario, Shared};
use crate::bench::contestant::readers::{Question, Reader, set_up};
use crate::bench::ground::Ground;

pub fn all(ground: &Ground) -> Scenario {
    let (days, tenants) = (ground.window, ground.tenants);
    let entrants = Question::ALL.into_iter().flat_map(|question| {
        [(false, Role::Baseline), (true, Role::Contestant)].map(|(years, role)| Entrant {
            group: question.title().to_owned(),
            tenants,
            evidence: Proof::Group,
            ..Entrant::new(Reader { question, years }, role, days)
        })
    });
    Scenario {
        name: "readers",
        title: format!("Readers' queries over {tenants} tenants × {} days", days.len()),
        question: "The same rows with the same indexes in one database, all vacuumed and analysed: once as Dayhaul keeps them, \
                   once as a view over tenants over one materialized view per tenant and day."
            .into(),
        compare: Compare::Seconds,
        also: &[Also::Locks],
        change: None,
        shared: Some(Shared {
            tenants,
            window: days,
            set_up,
        }),
        entrants: entrants.collect(),
    }
}
