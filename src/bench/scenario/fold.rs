//! Day relations become yearly tables.

use super::{Compare, Entrant, Role, Scenario};
use crate::bench::contestant::convert::Convert;
use crate::bench::contestant::dayhaul::{Act, Dayhaul, Variant};
use crate::bench::ground::Ground;

pub fn all(ground: &Ground) -> Scenario {
    let days = ground.window;
    let fold = Dayhaul {
        variant: Variant::DayTables,
        act: Act::Fold,
    };
    Scenario {
        name: "fold",
        title: format!("{} day relations become yearly tables", days.len()),
        question: "All days are loaded, each a relation of its own. dblink's views are converted while readers wait at the \
                   end; Dayhaul folds while readers see every row all the time."
            .into(),
        compare: Compare::Seconds,
        also: &[],
        change: None,
        shared: None,
        entrants: vec![
            Entrant::new(Convert { load: false }, Role::Baseline, days),
            Entrant::new(fold, Role::Contestant, days),
        ],
    }
}
