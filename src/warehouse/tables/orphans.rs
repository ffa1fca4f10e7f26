//! Tables that Dayhaul made and that its catalog does not know: an earlier version could commit a part of an interrupted
//! transaction. They stand in the way of the pair's tables.

use super::definitions::{day_table, retired_tables, staging_table, year_table};
use super::left::Left;
use super::shape::year_window;
use super::transaction::short_transaction;
use crate::catalog::Pair;
use crate::catalog::registry::relations::RelationKind;
use crate::error::Result;
use crate::pg::Session;
use crate::sql::qualified;
use crate::unit::{Day, TemplateName, TenantName, Window};
use std::fmt;
use std::time::Duration;

/// A table with a name, a CHECK and an owner as Dayhaul's tables of a pair have them, that the catalog does not list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    pub tenant: TenantName,
    pub template: TemplateName,
    pub schema: String,
    pub table: String,
    pub kind: RelationKind,
    pub has_rows: bool,
}

impl Orphan {
    /// Whether it may be dropped: nobody ever read a staging table, and any other has to be empty.
    pub fn is_droppable(&self) -> bool {
        self.kind == RelationKind::Staging || !self.has_rows
    }

    /// `schema.table`.
    pub fn relation(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (relation, rows) = (self.relation(), if self.has_rows { "" } else { "no " });
        write!(
            f,
            "table `{relation}` is Dayhaul's, but not in the catalog; it has {rows}rows"
        )?;
        if !self.is_droppable() {
            f.write_str(": drop it yourself, or move it to another schema")?;
        }
        Ok(())
    }
}

/// The orphans among the tables of `pairs`, by schema and name.
///
/// # Errors
/// The warehouse's.
pub async fn orphans(session: &Session, pairs: &[Pair]) -> Result<Vec<Orphan>> {
    let wh = session.catalog();
    let schemas: Vec<&str> = pairs.iter().map(|p| p.tenant.schema.as_str()).collect();
    let rows = session
        .query(
            &format!(
                "SELECT n.nspname::text, c.relname::text, pg_get_constraintdef(k.oid) \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'c' AND k.conname = 'time_bounds' \
                 WHERE n.nspname = ANY ($1) AND c.relkind = 'r' AND c.relowner = current_role::regrole AND NOT EXISTS \
                   (SELECT FROM {wh}.relation r WHERE r.schema_name = n.nspname AND r.name = c.relname) \
                 ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\""
            ),
            &[&schemas],
        )
        .await?;
    let mut found = Vec::new();
    for row in rows {
        let (schema, table, check): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
        let of_schema = pairs.iter().filter(|p| p.tenant.schema.as_str() == schema);
        for pair in of_schema {
            let template = &pair.template.name;
            let Some((kind, window)) = part_of(template, table) else {
                continue;
            };
            if !admits(check, window) {
                continue;
            }
            found.push(Orphan {
                tenant: pair.tenant.name.clone(),
                template: template.clone(),
                schema: schema.to_owned(),
                table: table.to_owned(),
                kind,
                has_rows: has_rows(session, schema, table).await?,
            });
        }
    }
    Ok(found)
}

/// What a table of that name is to a template, and the days that it may hold.
fn part_of(template: &TemplateName, table: &str) -> Option<(RelationKind, Window)> {
    let rest = table
        .strip_prefix(template.as_str())
        .and_then(|rest| rest.strip_prefix('_'))?;
    if let Ok(day) = rest.replace('_', "-").parse::<Day>() {
        return (table == day_table(template, day))
            .then_some((RelationKind::Day, Window::single(day)));
    }
    let year: i32 = rest.get(..4)?.parse().ok()?;
    let kind = if table == year_table(template, year) {
        RelationKind::Year
    } else if table == staging_table(template, year) {
        RelationKind::Staging
    } else if retired_tables(template, year).any(|name| name == table) {
        RelationKind::Retired
    } else {
        return None;
    };
    Some((kind, year_window(year)))
}

/// The template, known or not, whose staging or retired tables may be called `name`. Names of its other tables are no names of
/// templates.
pub fn namesake(name: &TemplateName) -> Option<TemplateName> {
    let name = name.as_str();
    name.match_indices('_')
        .filter_map(|(end, _)| TemplateName::parse(&name[..end]).ok())
        .find(|other| part_of(other, name).is_some())
}

/// Whether a CHECK is about these days.
fn admits(check: &str, window: Window) -> bool {
    [window.from, window.to]
        .iter()
        .all(|day| check.contains(&format!("'{day}")))
}

async fn has_rows(session: &Session, schema: &str, table: &str) -> Result<bool> {
    let table = qualified(schema, table);
    let row = session
        .query_one(&format!("SELECT EXISTS (SELECT FROM {table})"), &[])
        .await?;
    Ok(row.get(0))
}

/// Drops those of `orphans` that may be, and gives those back that could not be. What got rows or a line in the catalog
/// meanwhile stays.
///
/// # Errors
/// The warehouse's, unless they are about one table.
pub async fn drop_orphans(
    session: &Session,
    orphans: &[Orphan],
    lock_timeout: Duration,
) -> Result<Vec<Left>> {
    let mut left = Vec::new();
    for orphan in orphans.iter().filter(|orphan| orphan.is_droppable()) {
        let dropping =
            short_transaction(session, lock_timeout, || drop_orphan(session, orphan)).await;
        if let Err(error) = dropping {
            left.push(Left::table(session, &orphan.schema, &orphan.table, error).await?);
        }
    }
    Ok(left)
}

/// Within a transaction of the caller's.
async fn drop_orphan(session: &Session, orphan: &Orphan) -> Result<()> {
    let wh = session.catalog();
    let table = qualified(&orphan.schema, &orphan.table);
    session.batch(&format!("LOCK TABLE {table}")).await?;
    let known = session
        .query_opt(
            &format!("SELECT FROM {wh}.relation WHERE schema_name = $1 AND name = $2"),
            &[&orphan.schema, &orphan.table],
        )
        .await?;
    let now = Orphan {
        has_rows: has_rows(session, &orphan.schema, &orphan.table).await?,
        ..orphan.clone()
    };
    if known.is_none() && now.is_droppable() {
        session.batch(&format!("DROP TABLE {table}")).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_by_its_name_and_its_check() {
        let template = TemplateName::parse("event_2").unwrap();
        let of = |table| part_of(&template, table).map(|(kind, window)| (kind, window.from));
        let day = |text: &str| text.parse::<Day>().unwrap();
        for (table, part) in [
            (
                "event_2_2024_01_05",
                Some((RelationKind::Day, "2024-01-05")),
            ),
            ("event_2_2024", Some((RelationKind::Year, "2024-01-01"))),
            (
                "event_2_2024_staging",
                Some((RelationKind::Staging, "2024-01-01")),
            ),
            (
                "event_2_2024_retired",
                Some((RelationKind::Retired, "2024-01-01")),
            ),
            (
                "event_2_2024_retire3",
                Some((RelationKind::Retired, "2024-01-01")),
            ),
            ("event_2_2024_1_5", None),
            ("event_2_2024_02_30", None),
            ("event_2_2024_old", None),
            ("event_2_24", None),
            ("event_2024", None),
            ("event_2", None),
        ] {
            let part = part.map(|(kind, from)| (kind, day(from)));
            assert_eq!(of(table), part, "{table}");
        }
        let year = year_window(2024);
        assert!(admits(
            "CHECK ((at >= '2024-01-01 00:00:00+00'::timestamptz) AND (at < '2025-01-01 00:00:00+00'::timestamptz))",
            year
        ));
        assert!(!admits(
            "CHECK ((day >= '2023-01-01'::date) AND (day < '2024-01-01'::date))",
            year
        ));
    }

    #[test]
    fn a_name_of_another_templates_table_is_known() {
        let of = |name| namesake(&TemplateName::parse(name).unwrap());
        for (name, other) in [
            ("event_2_2024_staging", Some("event_2")),
            ("event_2024_retired", Some("event")),
            ("event_2024_retire9", Some("event")),
            ("event", None),
            ("event_2", None),
            ("event_2024_staging_old", None),
            ("event_2024_old", None),
            ("event_2024_retire0", None),
            ("event2024", None),
        ] {
            assert_eq!(of(name).as_ref().map(TemplateName::as_str), other, "{name}");
        }
    }
}
