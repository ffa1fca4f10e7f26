//! What a load remembers of a pair: its first day and its fold line.

use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName};
use chrono::NaiveDate;

/// Remembers that `from` was asked for, and sets the fold line of a pair that has none. Gives the fold line.
///
/// # Errors
/// The warehouse's.
pub async fn settle(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    from: Day,
    first_fold_line: Day,
) -> Result<Day> {
    let row = session
        .query_one(
            "UPDATE _wh.pair SET first_day = least(first_day, $3), fold_line = coalesce(fold_line, $4) \
             WHERE tenant = $1 AND template = $2 RETURNING fold_line",
            &[
                &tenant.as_str(),
                &template.as_str(),
                &from.date(),
                &first_fold_line.date(),
            ],
        )
        .await?;
    Ok(Day::from(row.get::<_, NaiveDate>(0)))
}

/// The fold line of a pair as it is now; `None` before its first load.
///
/// # Errors
/// The warehouse's.
pub async fn current(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<Option<Day>> {
    let row = session
        .query_opt(
            "SELECT fold_line FROM _wh.pair WHERE tenant = $1 AND template = $2",
            &[&tenant.as_str(), &template.as_str()],
        )
        .await?;
    Ok(row
        .and_then(|row| row.get::<_, Option<NaiveDate>>(0))
        .map(Day::from))
}
