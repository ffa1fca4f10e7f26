//! Coverage: is every expected day in the ledger, and was it compared with its source since it ended? Contacts no source.

use crate::catalog::Pair;
use crate::catalog::ledger::objects;
use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName, Window};

/// Which of a pair's expected days are in the ledger.
#[derive(Debug)]
pub struct Coverage {
    pub tenant: TenantName,
    pub template: TemplateName,
    /// `None` when the pair's first day is not known.
    pub first_day: Option<Day>,
    /// The days that should be in the ledger; `None` when the pair's first day is after them.
    pub expected: Option<Window>,
    pub loaded: usize,
    /// Runs of days that are not in the ledger.
    pub gaps: Vec<Window>,
    /// Loaded days that are not settled.
    pub unsettled: usize,
    /// Of these, runs of days that a daily `sync` would have compared again by now.
    pub overdue: Vec<Window>,
}

impl Coverage {
    pub fn is_complete(&self) -> bool {
        self.first_day.is_some() && self.gaps.is_empty() && self.overdue.is_empty()
    }

    pub fn missing(&self) -> usize {
        self.gaps.iter().map(Window::len).sum()
    }
}

/// Checks `days` from each pair's first day up to the day before `today`.
///
/// # Errors
/// Errors of the warehouse.
pub async fn coverage(
    session: &Session,
    pairs: &[Pair],
    days: Window,
    today: Day,
) -> Result<Vec<Coverage>> {
    let mut found = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let mut loaded = objects::units(session, &pair.tenant.name, &pair.template.name).await?;
        loaded.retain(|_, unit| unit.loaded);
        let expected = pair
            .first_day
            .and_then(|first| expected(days, first, today));
        let gaps = expected.map_or_else(Vec::new, |expected| {
            Window::runs(expected.days().filter(|day| !loaded.contains_key(day)))
        });
        let mut unsettled = loaded;
        unsettled.retain(|day, unit| {
            expected.is_some_and(|expected| expected.contains(*day))
                && !pair.template.is_settled(*day, unit.checked_on)
        });
        let overdue = unsettled
            .iter()
            .filter(|(day, unit)| pair.template.is_overdue(**day, unit.checked_on, today));
        let overdue = Window::runs(overdue.map(|(day, _)| *day));
        let missing: usize = gaps.iter().map(Window::len).sum();
        found.push(Coverage {
            tenant: pair.tenant.name.clone(),
            template: pair.template.name.clone(),
            first_day: pair.first_day,
            expected,
            loaded: expected.map_or(0, |expected| expected.len() - missing),
            gaps,
            unsettled: unsettled.len(),
            overdue,
        });
    }
    Ok(found)
}

fn expected(days: Window, first: Day, today: Day) -> Option<Window> {
    let (from, to) = (days.from.max(first), days.to.min(today));
    (from < to).then(|| Window::new(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_before_the_first_and_from_today_on_are_not_expected() {
        let day = Day::from_pg_days;
        let year = Window::new(day(0), day(366));
        let expected = |first, today| expected(year, day(first), day(today));
        assert_eq!(expected(-10, 1000), Some(year));
        assert_eq!(expected(30, 40), Some(Window::new(day(30), day(40))));
        assert_eq!(expected(400, 1000), None);
        assert_eq!(expected(40, 40), None);
    }
}
