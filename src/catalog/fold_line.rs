//! What a load remembers of a pair: its first day and its fold line.

use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName};
use chrono::NaiveDate;

/// Remembers that `from` was asked for, if any day was, and sets the fold line of a pair that has none. Gives the fold line.
///
/// # Errors
/// The warehouse's.
pub async fn settle(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    from: Option<Day>,
    first_fold_line: Day,
) -> Result<Day> {
    let row = session
        .query_one(
            "UPDATE _wh.pair SET first_day = least(first_day, $3), fold_line = coalesce(fold_line, $4) \
             WHERE tenant = $1 AND template = $2 RETURNING fold_line",
            &[
                &tenant.as_str(),
                &template.as_str(),
                &from.map(Day::date),
                &first_fold_line.date(),
            ],
        )
        .await?;
    Ok(Day::from(row.get::<_, NaiveDate>(0)))
}
