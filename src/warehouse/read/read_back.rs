//! Reading back what the warehouse holds: the rows of days in the bytes that were sent, and rows where none should be.

use crate::catalog::ledger::units::Recorded;
use crate::catalog::registry::fold_line::{self, FoldLine};
use crate::catalog::registry::relations::{Relation, RelationKind};
use crate::error::Result;
use crate::pg::Session;
use crate::sql::qualified;
use crate::template::{Template, copy_out_sql};
use crate::unit::{Day, Window};
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::count_by_day_sql;
use crate::warehouse::tables::definitions::in_window;
use crate::warehouse::views;
use std::collections::BTreeMap;

/// Begins a transaction that sees ledger and tables as they were at one moment, whoever writes meanwhile, and writes
/// nothing.
///
/// # Errors
/// The warehouse's.
pub async fn begin_reading(session: &Session) -> Result<()> {
    session
        .batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL TimeZone = 'UTC'")
        .await
}

/// The statement that gives back the rows of `window` in a table: the columns and types of `template`, so that they are
/// the bytes that were digested when they were loaded.
pub fn read_back_sql(schema: &str, table: &str, template: &Template, window: Window) -> String {
    let rows = format!(
        "SELECT * FROM {} WHERE {}",
        qualified(schema, table),
        in_window(template, window)
    );
    copy_out_sql(template, &rows, None)
}

/// Rows of a day in a table that readers see, though the ledger does not say that the day is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    pub day: Day,
    /// `schema.table`.
    pub relation: String,
    pub rows: u64,
}

/// Finds rows in the tables that the tenant view shows, on days of `wanted` that `recorded` does not place there. Rows
/// that the view hides, such as those of a fold on its way, do not count.
///
/// # Errors
/// The warehouse's.
pub async fn extra_rows(
    session: &Session,
    place: Place<'_>,
    tables: &[Relation],
    line: Option<FoldLine>,
    recorded: &BTreeMap<Day, Recorded>,
    wanted: impl Fn(Day) -> bool,
) -> Result<Vec<Extra>> {
    let (schema, view) = (place.schema.as_str(), place.template.name.as_str());
    let shown = views::reads(session, schema, view)
        .await?
        .unwrap_or_default();
    let mut extra = Vec::new();
    for table in tables {
        let relation = format!("{}.{}", table.schema, table.name);
        let elsewhere = |day: &Day| {
            wanted(*day)
                && recorded
                    .get(day)
                    .is_none_or(|r| r.relation.as_deref() != Some(relation.as_str()))
        };
        let gaps = match shown_days(table, line) {
            Some(days) if shown.contains(&(table.schema.clone(), table.name.clone())) => {
                Window::runs(days.days().filter(elsewhere))
            }
            _ => continue,
        };
        if gaps.is_empty() {
            continue;
        }
        for (day, rows) in count_by_day(session, place.template, table, &gaps).await? {
            extra.push(Extra {
                day,
                relation: relation.clone(),
                rows,
            });
        }
    }
    if let Some(then) = line.filter(|line| !line.hides && !extra.is_empty()) {
        let now = fold_line::get(session, place.tenant, &place.template.name).await?;
        if now != line {
            // A fold began meanwhile: what it copies beyond the line is hidden.
            extra.retain(|found| found.day < then.day);
        }
    }
    Ok(extra)
}

/// The days of a table that the view shows: the year that holds the fold line may be cut there.
fn shown_days(table: &Relation, line: Option<FoldLine>) -> Option<Window> {
    let window = table.window?;
    match line {
        Some(FoldLine { day, hides: true })
            if table.kind == RelationKind::Year && window.contains(day) =>
        {
            (window.from < day).then(|| Window::new(window.from, day))
        }
        _ => Some(window),
    }
}

async fn count_by_day(
    session: &Session,
    template: &Template,
    table: &Relation,
    windows: &[Window],
) -> Result<Vec<(Day, u64)>> {
    let windows: Vec<String> = windows.iter().map(|w| in_window(template, *w)).collect();
    let table = qualified(&table.schema, &table.name);
    let rows = session
        .query(
            &count_by_day_sql(template, &table, &windows.join(" OR ")),
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let count = u64::try_from(row.get::<_, i64>(1)).unwrap_or(0);
            (row.get::<_, Day>(0), count)
        })
        .collect())
}
