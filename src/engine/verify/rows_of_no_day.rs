//! Rows of a source that no day has: without a time, at an infinite time, before the first day, after today. A load takes days,
//! so it never sees them; comparing days cannot find them either.

use crate::catalog::Tenant;
use crate::config::Settings;
use crate::error::{At, Error, Kind, Result};
use crate::pg::{Session, SimpleRows};
use crate::template::{Template, rows_of_no_day_sql};
use crate::unit::{TemplateName, TenantName, Window};
use std::time::Duration;

/// So many of a kind are counted; beyond, it is enough to know that there are many.
pub const MOST: u64 = 100_000;

/// A look at a source that takes longer is given up: without an index on the time column it reads a whole table.
const LIMIT: Duration = Duration::from_secs(30);

/// How many, each at most one more than [`MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsOfNoDay {
    pub no_time: u64,
    pub infinite: u64,
    pub before: u64,
    pub after: u64,
    /// The days that they are not in.
    pub days: Window,
}

impl RowsOfNoDay {
    pub fn is_none(&self) -> bool {
        self.no_time + self.infinite + self.before + self.after == 0
    }
}

/// A pair's, or why they were not counted.
#[derive(Debug)]
pub struct PairRowsOfNoDay {
    pub tenant: TenantName,
    pub template: TemplateName,
    pub rows: Result<RowsOfNoDay>,
}

/// How long such a look may take.
pub fn limit(settings: &Settings) -> Duration {
    let limit = settings.load.statement_timeout;
    if limit.is_zero() {
        LIMIT
    } else {
        limit.min(LIMIT)
    }
}

/// Counts the rows of the query that are in none of `days`.
///
/// # Errors
/// [`Kind::Refused`] when the query's conditions about the window cannot be taken out of it; the source's, also after 30 s.
pub async fn count(
    session: &Session,
    tenant: &Tenant,
    template: &Template,
    days: Window,
    settings: &Settings,
) -> Result<RowsOfNoDay> {
    let place = || format!("template `{}`", template.name);
    let any_day = tenant.bindings(Window::single(days.from));
    let query = template.bind_all_rows(&any_day).at(place)?.ok_or_else(|| {
        Error::refused(
            "the query uses its window in other ways than `column >= {from} AND column < {to}`",
        )
    })?;
    let sql = rows_of_no_day_sql(template, &query, days, MOST + 1);
    let transaction = tenant.transaction(limit(settings));
    let rows = transaction.read(session, async || session.simple(&sql).await);
    let rows = rows.await.at(place)?;
    Ok(RowsOfNoDay {
        no_time: number(&rows, 0)?,
        infinite: number(&rows, 1)?,
        before: number(&rows, 2)?,
        after: number(&rows, 3)?,
        days,
    })
}

fn number(rows: &SimpleRows, column: usize) -> Result<u64> {
    let text = rows.value(0, column).unwrap_or_default();
    text.parse()
        .map_err(|_| Error::new(Kind::Bug, format!("`{text}` is not a count of rows")))
}
