//! Moving day relations into year tables.

use super::{Entrant, EntrantRole, RatioBasis, Scenario};
use crate::bench::contestant::convert::Convert;
use crate::bench::contestant::dayhaul::{Dayhaul, Operation, Variant};
use crate::bench::environment::Environment;

pub fn all(environment: &Environment) -> Scenario {
    let days = environment.window();
    let fold = Dayhaul {
        variant: Variant::DayTables,
        operation: Operation::Fold,
    };
    Scenario {
        name: "fold",
        title: format!("{} day relations moved into year tables", days.len()),
        question: "All days are loaded, each into its own relation. dblink's views are converted, and readers wait at the \
                   end; with Dayhaul's fold, readers see every row all the time."
            .into(),
        compare: RatioBasis::Seconds,
        also: &[],
        shared: None,
        entrants: vec![
            Entrant::new(Convert { load: false }, EntrantRole::Baseline, days),
            Entrant::new(fold, EntrantRole::Contestant, days),
        ],
    }
}
