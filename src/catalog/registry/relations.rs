//! The tables and views that are ours. No other is ever dropped, renamed or replaced.

use crate::catalog::by_pair::columns;
use crate::error::{Error, Result};
use crate::pg::{Row, Session};
use crate::sql::{ident, qualified};
use crate::unit::{Day, PairNames, TemplateName, TenantName, Window};

/// What a relation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelationKind {
    Day,
    Year,
    Staging,
    /// A year table whose place another took.
    Retired,
    TenantView,
    PublicView,
}

impl RelationKind {
    pub fn as_str(self) -> &'static str {
        match self {
            RelationKind::Day => "day",
            RelationKind::Year => "year",
            RelationKind::Staging => "staging",
            RelationKind::Retired => "retired",
            RelationKind::TenantView => "tenant view",
            RelationKind::PublicView => "public view",
        }
    }

    fn parse(text: &str) -> Option<RelationKind> {
        use RelationKind::{Day, PublicView, Retired, Staging, TenantView, Year};
        [Day, Year, Staging, Retired, TenantView, PublicView]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// A relation of a pair (or of a template, for the public view).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub schema: String,
    pub name: String,
    pub kind: RelationKind,
    /// The days that its CHECK admits; `None` for views.
    pub window: Option<Window>,
}

/// The relations of pairs, by name; of each pair in their order, and whether all its tables exist in the database. Views that
/// no longer exist are left out, as are tables that do not.
///
/// # Errors
/// The warehouse's.
pub async fn of_pairs(
    session: &Session,
    pairs: &[PairNames<'_>],
) -> Result<Vec<(Vec<Relation>, bool)>> {
    let wh = session.catalog();
    let (tenants, templates) = columns(pairs);
    let rows = session
        .query(
            &format!(
                "SELECT r.schema_name, r.name, r.kind, r.from_day, r.to_day, c.oid IS NOT NULL, t.n \
                 FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t (tenant, template, n) \
                 JOIN {wh}.relation r USING (tenant, template) \
                 LEFT JOIN pg_namespace n ON n.nspname = r.schema_name \
                 LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.name \
                 ORDER BY r.name"
            ),
            &[&tenants, &templates],
        )
        .await?;
    let mut found = vec![(Vec::new(), true); pairs.len()];
    for row in &rows {
        let Some(relation) = relation(row) else {
            continue;
        };
        let index = usize::try_from(row.get::<_, i64>(6) - 1).ok();
        let Some((relations, complete)) = index.and_then(|index| found.get_mut(index)) else {
            continue;
        };
        match (row.get::<_, bool>(5), relation.kind) {
            (true, _) => relations.push(relation),
            (false, RelationKind::TenantView | RelationKind::PublicView) => {}
            (false, _) => *complete = false,
        }
    }
    Ok(found)
}

/// A row of schema, name, kind, and, of tables, the first day and the day after the last.
fn relation(row: &Row) -> Option<Relation> {
    let window = row
        .get::<_, Option<Day>>(3)
        .zip(row.get::<_, Option<Day>>(4))
        .map(|(from, to)| Window::new(from, to));
    Some(Relation {
        schema: row.get(0),
        name: row.get(1),
        kind: RelationKind::parse(row.get(2))?,
        window,
    })
}

/// The relations of a pair, by name. Views that no longer exist are left out: they hold nothing, and are made anew.
///
/// # Errors
/// [`Kind::Refused`](crate::error::Kind::Refused) when tables of it no longer exist in the database; the warehouse's.
pub async fn of_pair(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<Vec<Relation>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT r.schema_name, r.name, r.kind, r.from_day, r.to_day, c.oid IS NOT NULL AS there \
             FROM {wh}.relation r \
             LEFT JOIN pg_namespace n ON n.nspname = r.schema_name \
             LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.name \
             WHERE r.tenant = $1 AND r.template = $2 ORDER BY r.name"),
            &[&tenant, &template],
        )
        .await?;
    let mut relations = Vec::with_capacity(rows.len());
    let mut lost = Vec::new();
    for row in rows {
        let Some(relation) = relation(&row) else {
            continue;
        };
        match (row.get::<_, bool>(5), relation.kind) {
            (true, _) => relations.push(relation),
            (false, RelationKind::TenantView | RelationKind::PublicView) => {}
            // Nobody reads it any more.
            (false, RelationKind::Retired) => {}
            (false, _) => lost.push(relation),
        }
    }
    match &lost[..] {
        [] => Ok(relations),
        [first, others @ ..] => Err(are_lost(tenant, template, first, others.len())),
    }
}

/// Tables that the catalog holds and the database does not: the first of them, and how many others.
fn are_lost(
    tenant: &TenantName,
    template: &TemplateName,
    first: &Relation,
    others: usize,
) -> Error {
    let (kind, schema, name) = (first.kind.as_str(), &first.schema, &first.name);
    let more = match others {
        0 => String::new(),
        1 => " and 1 more table".to_owned(),
        n => format!(" and {n} more tables"),
    };
    Error::refused(format!(
        "the catalog holds {kind} `{schema}.{name}`{more}, but the database does not"
    ))
    .with_hint(format!(
        "dropped outside Dayhaul: restore from a backup, or load the rows again with `dayhaul verify --repair --tenant \
         {tenant}` or `dayhaul rebuild --tenant {tenant} --template {template}` and the days; if the tenant is gone for good, \
         `dayhaul tenant disable {tenant}`"
    ))
}

/// The year tables of a pair whose place others took, by name.
///
/// # Errors
/// The warehouse's.
pub async fn retired(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<Vec<String>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT name FROM {wh}.relation \
                 WHERE tenant = $1 AND template = $2 AND kind = 'retired' ORDER BY name"
            ),
            &[&tenant, &template],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The day and year tables of a pair that are in the database, by name.
///
/// # Errors
/// The warehouse's.
pub async fn tables_there(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<Vec<Relation>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT r.schema_name, r.name, r.kind, r.from_day, r.to_day FROM {wh}.relation r \
             JOIN pg_namespace n ON n.nspname = r.schema_name \
             JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.name \
             WHERE r.tenant = $1 AND r.template = $2 AND r.kind IN ('day', 'year') ORDER BY r.name"
            ),
            &[&tenant, &template],
        )
        .await?;
    Ok(rows.iter().filter_map(table).collect())
}

/// The day and year tables of a template, of all tenants: those of years first, by schema and name.
///
/// # Errors
/// The warehouse's.
pub async fn tables_of_template(
    session: &Session,
    template: &TemplateName,
) -> Result<Vec<Relation>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT r.schema_name, r.name, r.kind, r.from_day, r.to_day FROM {wh}.relation r \
             WHERE r.template = $1 AND r.kind IN ('day', 'year') \
             ORDER BY r.kind DESC, r.schema_name COLLATE \"C\", r.name COLLATE \"C\""
            ),
            &[&template],
        )
        .await?;
    Ok(rows.iter().filter_map(table).collect())
}

/// A row of schema, name, kind, first day and the day after the last.
fn table(row: &Row) -> Option<Relation> {
    Some(Relation {
        schema: row.get(0),
        name: row.get(1),
        kind: RelationKind::parse(row.get(2))?,
        window: Some(Window::new(row.get(3), row.get(4))),
    })
}

/// Refuses when a relation of that name exists and is not ours.
///
/// # Errors
/// [`Kind::Refused`](crate::error::Kind::Refused), naming it; the warehouse's.
pub async fn refuse_foreign(session: &Session, schema: &str, names: &[String]) -> Result<()> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!(
                "SELECT c.relname::text, c.relowner = current_role::regrole AND EXISTS \
                   (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.conname = 'time_bounds'), \
                   CASE c.relkind WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = ANY ($2) AND NOT EXISTS \
                   (SELECT FROM {wh}.relation r WHERE r.schema_name = $1 AND r.name = c.relname) \
                 ORDER BY 1 LIMIT 1"
            ),
            &[&schema, &names],
        )
        .await?;
    let Some(row) = row else {
        return Ok(());
    };
    let (name, kind): (&str, &str) = (row.get(0), row.get(2));
    let relation = format!("{schema}.{name}");
    let error = if row.get(1) {
        Error::refused(format!("table `{relation}` is not in the catalog, though Dayhaul made it"))
            .with_hint("an interrupted run left it: `dayhaul verify --repair` drops it unless it has rows that readers may have seen")
    } else {
        Error::refused(format!("relation `{relation}` exists and is not Dayhaul's"))
            .with_hint(format!(
                "Dayhaul never replaces what it does not own: rename it, for instance with `ALTER {kind} {} RENAME TO {}`",
                qualified(schema, name),
                ident(&format!("{name}_other"))
            ))
    };
    Err(error)
}

/// Writes down that relations are ours, in the transaction that makes them. One that was ours and no longer exists is created again.
///
/// # Errors
/// The warehouse's.
pub async fn add(
    session: &Session,
    tenant: Option<&TenantName>,
    template: &TemplateName,
    relations: &[Relation],
) -> Result<()> {
    let wh = session.catalog();
    let text = |of: fn(&Relation) -> &str| relations.iter().map(of).collect::<Vec<&str>>();
    let date = |of: fn(Window) -> Day| {
        let dates = relations.iter().map(|r| r.window.map(&of));
        dates.collect::<Vec<Option<Day>>>()
    };
    session
        .execute(
            &format!("INSERT INTO {wh}.relation (schema_name, name, kind, template, tenant, from_day, to_day) \
             SELECT r.schema_name, r.name, r.kind, $4, $5, r.from_day, r.to_day \
             FROM unnest($1::text[], $2::text[], $3::text[], $6::date[], $7::date[]) \
                  AS r (schema_name, name, kind, from_day, to_day) \
             ON CONFLICT (schema_name, name) DO UPDATE SET kind = excluded.kind, template = excluded.template, \
               tenant = excluded.tenant, from_day = excluded.from_day, to_day = excluded.to_day"),
            &[
                &text(|r| &r.schema),
                &text(|r| &r.name),
                &text(|r| r.kind.as_str()),
                &template,
                &tenant.map(TenantName::as_str),
                &date(|w| w.from),
                &date(|w| w.to),
            ],
        )
        .await?;
    Ok(())
}

/// A table takes another name and another part: a staging table becomes a year table, a year table retires. In the transaction
/// that renames it.
///
/// # Errors
/// The warehouse's.
pub async fn rename(
    session: &Session,
    schema: &str,
    from: &str,
    to: &str,
    kind: RelationKind,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!(
                "UPDATE {wh}.relation SET name = $3, kind = $4 WHERE schema_name = $1 AND name = $2"
            ),
            &[&schema, &from, &to, &kind.as_str()],
        )
        .await?;
    Ok(())
}

/// Those of `relations` (`schema.name`) in which the ledger has days of a pair, by name.
///
/// # Errors
/// The warehouse's.
pub async fn that_hold_days(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    relations: &[String],
) -> Result<Vec<String>> {
    if relations.is_empty() {
        return Ok(Vec::new());
    }
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT DISTINCT relation FROM {wh}.unit WHERE tenant = $1 AND template = $2 \
                 AND state = 'loaded' AND relation = ANY ($3) ORDER BY 1"
            ),
            &[&tenant, &template, &relations],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// These relations of a schema are no longer ours, in the transaction that drops them.
///
/// # Errors
/// The warehouse's.
pub async fn remove(session: &Session, schema: &str, names: &[String]) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!("DELETE FROM {wh}.relation WHERE schema_name = $1 AND name = ANY ($2)"),
            &[&schema, &names],
        )
        .await?;
    Ok(())
}
