//! Coverage: is every expected day in the ledger, and was it compared with its source since it ended? Contacts no source.

use crate::catalog::Pair;
use crate::catalog::ledger::day_ranges::AskedPair;
use crate::catalog::ledger::summary::{self, DaySummary, Units, expected_days};
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
    /// Of these, those that are loaded; the others are missing.
    pub days: DaySummary,
}

impl Coverage {
    pub fn is_complete(&self) -> bool {
        let days = &self.days;
        self.first_day.is_some() && days.missing_days.is_empty() && days.overdue_days.is_empty()
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
    let expected = |pair: &Pair| expected_days(pair.first_day, Some(days), today);
    let asked = pairs.iter().map(|pair| AskedPair {
        tenant: &pair.tenant.name,
        template: &pair.template,
        days: expected(pair),
    });
    let asked: Vec<AskedPair<'_>> = asked.collect();
    let found = summary::of_pairs(session, &asked, Units::LoadedAndExpected, today).await?;
    let coverage = pairs.iter().zip(found).map(|(pair, found)| Coverage {
        tenant: pair.tenant.name.clone(),
        template: pair.template.name.clone(),
        first_day: pair.first_day,
        expected: expected(pair),
        days: found,
    });
    Ok(coverage.collect())
}
