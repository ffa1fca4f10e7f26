//! The request of a verification: which days, against what, and how much detail.

use super::checked::Against;
use crate::catalog::Pair;
use crate::engine::run::request::DaysByPair;
use crate::unit::{Day, TemplateName, TenantName, Window};

/// Which days of each pair.
#[derive(Debug, Clone)]
pub enum VerifyDays {
    /// All days in the ledger.
    Loaded,
    /// All of these, in the ledger or not.
    Window(Window),
    /// These, by pair.
    These(DaysByPair),
}

impl VerifyDays {
    /// Whether a day of a pair is requested.
    pub fn of(&self, tenant: &TenantName, template: &TemplateName) -> impl Fn(Day) -> bool {
        let days = match self {
            VerifyDays::These(days) => days.get(&(tenant.clone(), template.clone())),
            VerifyDays::Loaded | VerifyDays::Window(_) => None,
        };
        move |day| match self {
            VerifyDays::Loaded => true,
            VerifyDays::Window(window) => window.contains(day),
            VerifyDays::These(_) => days.is_some_and(|days| days.contains(&day)),
        }
    }

    /// The first and last day that are requested; `None` when the ledger decides.
    pub fn within(&self, tenant: &TenantName, template: &TemplateName) -> Option<Window> {
        match self {
            VerifyDays::Loaded => None,
            VerifyDays::Window(window) => Some(*window),
            VerifyDays::These(days) => {
                let days = days.get(&(tenant.clone(), template.clone()))?;
                Some(Window::new(*days.first()?, days.last()?.next()))
            }
        }
    }
}

/// The request of a verification.
#[derive(Debug, Clone)]
pub struct Verify {
    pub days: VerifyDays,
    pub against: Against,
    /// Find out which rows differ.
    pub diff: bool,
    /// A diff may hold values of rows.
    pub values: bool,
    pub today: Day,
}

impl Verify {
    /// From a pair's first day to today; `None` before its first load, and when only some days are verified once more.
    pub fn known_days(&self, pair: &Pair) -> Option<Window> {
        match self.days {
            VerifyDays::These(_) => None,
            VerifyDays::Loaded | VerifyDays::Window(_) => {
                let first = pair.first_day.filter(|first| *first <= self.today)?;
                Some(Window::new(first, self.today.next()))
            }
        }
    }
}
