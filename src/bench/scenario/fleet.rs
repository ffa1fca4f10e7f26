//! Many tenants with few rows: what a run costs for each of them, and what their number costs readers.

use super::refresh::{NIGHTLY_DAYS, an_hour_of};
use super::{
    Entrant, EntrantRole, ExpectedRows, ExtraMetric, RatioBasis, SandboxChoice, Scenario,
    SharedSandbox,
};
use crate::bench::contestant::Contestant;
use crate::bench::contestant::dayhaul::{Dayhaul, Variant};
use crate::bench::contestant::dblink::Best;
use crate::bench::contestant::per_tenant::PerTenant;
use crate::bench::contestant::psql::Pipe;
use crate::bench::contestant::readers_at_once::ReadersAtOnce;
use crate::bench::contestant::refresh::RefreshViews;
use crate::bench::contestant::upkeep::{Keeper, Upkeep, set_up};
use crate::bench::environment::{Environment, LateRows};
use crate::unit::{Day, Window};

/// Readers at once.
const READERS: [u32; 3] = [1, 4, 8];

pub fn all(environment: &Environment) -> Scenario {
    let (window, tenants) = (environment.window(), environment.workload.tenants);
    let fleet = Fleet {
        tenants,
        today: window.to.plus(-1),
        past: Window::new(window.from, window.to.plus(-1)),
        two: environment.last_days(2),
        lookback: environment.last_days(NIGHTLY_DAYS + 1),
    };
    let late = an_hour_of(environment, fleet.today);
    let phases = [
        fleet.first_backfill(),
        fleet.hourly("an hourly sync, nothing changed", None),
        fleet.hourly("an hourly sync, today has grown at each tenant", Some(late)),
        fleet.nightly(),
        fleet.readers(),
    ];
    Scenario {
        name: "fleet",
        title: format!("{tenants} tenants × {} days", window.len()),
        question: format!(
            "{tenants} databases on one server, with few rows a day. dblink refreshes a view per tenant and day: today and \
             yesterday every hour. Dayhaul's `sync` compares every day that is not settled, {} of each tenant. Readers ask \
             the view over all tenants for two days.",
            fleet.lookback.len()
        ),
        compare: RatioBasis::Seconds,
        also: &ExtraMetric::CLIENTS,
        shared: Some(SharedSandbox {
            tenants,
            window,
            set_up,
        }),
        entrants: phases.into_iter().flatten().collect(),
    }
}

struct Fleet {
    tenants: u16,
    today: Day,
    /// All days before today.
    past: Window,
    /// Yesterday and today.
    two: Window,
    /// Today, and the days before it that a sync compares.
    lookback: Window,
}

impl Fleet {
    fn entrant(
        &self,
        group: &str,
        contestant: impl Contestant + 'static,
        role: EntrantRole,
        window: Window,
    ) -> Entrant {
        Entrant {
            group: group.to_owned(),
            tenants: self.tenants,
            ..Entrant::new(contestant, role, window)
        }
    }

    /// dblink's views of `window`, refreshed tenant by tenant.
    fn views(&self, group: &str, window: Window) -> Entrant {
        let views = PerTenant(RefreshViews { concurrently: true });
        self.entrant(group, views, EntrantRole::Baseline, window)
    }

    fn dayhaul(&self, group: &str, does: Upkeep, window: Window) -> Entrant {
        let keeper = Keeper {
            does,
            today: self.today,
        };
        Entrant {
            place: SandboxChoice::Shared,
            ..self.entrant(group, keeper, EntrantRole::Contestant, window)
        }
    }

    fn first_backfill(&self) -> Vec<Entrant> {
        let (group, days) = ("the first backfill", self.past);
        let dayhaul = Dayhaul::backfill(Variant::Default);
        vec![
            self.entrant(group, PerTenant(Best), EntrantRole::Baseline, days),
            self.entrant(group, PerTenant(Pipe::Bulk), EntrantRole::Contestant, days),
            self.entrant(group, dayhaul, EntrantRole::Contestant, days),
        ]
    }

    fn hourly(&self, group: &str, late_rows: Option<LateRows>) -> Vec<Entrant> {
        let mut entrants = vec![
            self.views(group, self.two),
            self.dayhaul(group, Upkeep::Sync, self.lookback),
        ];
        for entrant in &mut entrants {
            entrant.late_rows = late_rows;
        }
        entrants
    }

    fn nightly(&self) -> Vec<Entrant> {
        let group = "a nightly refresh, nothing changed";
        let days = Window::new(self.lookback.from, self.today);
        vec![
            self.views(group, days),
            self.dayhaul(group, Upkeep::Refresh, days),
        ]
    }

    fn readers(&self) -> Vec<Entrant> {
        let entrant = |readers| {
            let role = match readers {
                1 => EntrantRole::Baseline,
                _ => EntrantRole::Contestant,
            };
            Entrant {
                place: SandboxChoice::Shared,
                expected: ExpectedRows::Group,
                ..self.entrant("readers", ReadersAtOnce { readers }, role, self.past)
            }
        };
        READERS.into_iter().map(entrant).collect()
    }
}
