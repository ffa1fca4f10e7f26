//! What a load remembers of a pair: its first day and its fold line; and how that line moves.

use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName};
use std::collections::{BTreeMap, BTreeSet};

/// Where the days of a pair divide: year tables before it, day tables from it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldLine {
    /// Days before it live in year tables, days from it on in day tables.
    pub day: Day,
    /// Year tables may hold rows from that day on: a fold is under way or was interrupted, or days were unfolded. The
    /// tenant view hides them.
    pub hides: bool,
}

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
) -> Result<FoldLine> {
    let wh = session.catalog();
    let row = session
        .query_one(
            &format!("UPDATE {wh}.pair SET first_day = least(first_day, $3), fold_line = coalesce(fold_line, $4) \
             WHERE tenant = $1 AND template = $2 RETURNING fold_line, hides"),
            &[
                &tenant,
                &template,
                &from,
                &first_fold_line,
            ],
        )
        .await?;
    Ok(FoldLine {
        day: row.get(0),
        hides: row.get(1),
    })
}

/// Remembers that `from` was asked for, and nothing else: no table is needed.
///
/// # Errors
/// The warehouse's.
pub async fn remember_first(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    from: Day,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!("UPDATE {wh}.pair SET first_day = least(first_day, $3) WHERE tenant = $1 AND template = $2"),
            &[&tenant, &template, &from],
        )
        .await?;
    Ok(())
}

/// The rows of each loaded day of a pair according to the ledger, from `from` on.
///
/// # Errors
/// The warehouse's.
pub async fn rows_per_day(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    from: Day,
) -> Result<BTreeMap<Day, u64>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT day, rows FROM {wh}.unit \
             WHERE tenant = $1 AND template = $2 AND day >= $3 AND state = 'loaded'"
            ),
            &[&tenant, &template, &from],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let day = row.get::<_, Day>(0);
            (day, u64::try_from(row.get::<_, i64>(1)).unwrap_or(0))
        })
        .collect())
}

/// Sets the fold line, and records for the loaded days among `moved` which `schema.table` holds them now.
/// Within the transaction that replaces the tenant view.
///
/// # Errors
/// The warehouse's.
pub async fn put(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    line: FoldLine,
    moved: &[(Day, String)],
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!("UPDATE {wh}.pair SET fold_line = $3, hides = $4 WHERE tenant = $1 AND template = $2"),
            &[
                &tenant,
                &template,
                &line.day,
                &line.hides,
            ],
        )
        .await?;
    let days: Vec<Day> = moved.iter().map(|(day, _)| *day).collect();
    let relations: Vec<&str> = moved.iter().map(|(_, r)| r.as_str()).collect();
    session
        .execute(
            &format!(
                "UPDATE {wh}.unit AS u SET relation = m.relation \
             FROM unnest($3::date[], $4::text[]) AS m (day, relation) \
             WHERE u.tenant = $1 AND u.template = $2 AND u.day = m.day AND u.state = 'loaded'"
            ),
            &[&tenant, &template, &days, &relations],
        )
        .await?;
    Ok(())
}

/// The first loaded day (from `from` on) whose rows the ledger places in one of `relations`, and in which.
///
/// # Errors
/// The warehouse's.
pub async fn day_in(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    relations: &[String],
    from: Option<Day>,
) -> Result<Option<(Day, String)>> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!("SELECT day, relation FROM {wh}.unit WHERE tenant = $1 AND template = $2 AND state = 'loaded' \
             AND relation = ANY ($3) AND day >= coalesce($4, '-infinity'::date) ORDER BY day LIMIT 1"),
            &[
                &tenant,
                &template,
                &relations,
                &from,
            ],
        )
        .await?;
    Ok(row.map(|row| (row.get::<_, Day>(0), row.get(1))))
}

/// The fold line of a pair; `None` when it was never loaded.
///
/// # Errors
/// The warehouse's.
pub async fn get(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<Option<FoldLine>> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!("SELECT fold_line, hides FROM {wh}.pair WHERE tenant = $1 AND template = $2"),
            &[&tenant, &template],
        )
        .await?;
    Ok(row.and_then(|row| {
        let day = row.get::<_, Option<Day>>(0)?;
        let hides = row.get(1);
        Some(FoldLine { day, hides })
    }))
}

/// The names of those pairs whose fold line is before the day that is given with them, or which have something that a fold or a load
/// left: hidden rows, tables that no view shows.
///
/// # Errors
/// The warehouse's.
pub async fn due<'a>(
    session: &Session,
    pairs: impl IntoIterator<Item = (&'a TenantName, &'a TemplateName, Day)>,
) -> Result<BTreeSet<(String, String)>> {
    let (mut tenants, mut templates, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    for (tenant, template, line) in pairs {
        tenants.push(tenant.as_str());
        templates.push(template.as_str());
        lines.push(line);
    }
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT p.tenant, p.template FROM {wh}.pair p \
                 JOIN unnest($1::text[], $2::text[], $3::date[]) AS t (tenant, template, line) USING (tenant, template) \
                 WHERE p.fold_line < t.line OR p.hides OR EXISTS \
                   (SELECT FROM {wh}.relation r WHERE r.tenant = p.tenant AND r.template = p.template \
                    AND (r.kind IN ('staging', 'retired') OR r.kind = 'day' AND r.from_day < p.fold_line))"
            ),
            &[&tenants, &templates, &lines],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
