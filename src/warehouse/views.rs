//! Tenant views over year and day tables, public views over tenant views.

use super::context::WarehouseContext;
use super::place::Place;
use super::tables::definitions::{day_table, year_table};
use super::tables::shape::Shape;
use super::tables::shape::year_window;
use super::tables::transaction::{about_locks, patient_transaction, short_transaction};
use crate::catalog::registry::relations::{self, Relation, RelationKind};
use crate::error::{At, Result};
use crate::pg::Session;
use crate::sql::{bound, ident, literal, qualified};
use crate::template::Template;
use crate::unit::Day;
use std::collections::BTreeSet;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// What a view lists of a column: without length or precision, so that a later widening need not touch the view.
fn view_columns(template: &Template) -> String {
    template
        .columns
        .iter()
        .map(|c| {
            let name = ident(&c.name);
            if c.ty == c.ty.bare() {
                name
            } else {
                format!("{name}::{} AS {name}", c.ty.bare())
            }
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// The tables that the tenant view shows, by level: years, then days; with each, whether the view must hide what it
/// holds from the fold line on.
///
/// Only the fold line decides, so that a table on its way in or out of the view needs no mark: years that
/// begin at or after the line, and days before it, are hidden whole. The year that holds the line hides what it may hold
/// beyond; where that is nothing, the view has no condition, in front of which the planner would read the year whole for
/// `max(time)` and for the latest rows.
pub fn shown_tables(template: &Template, shape: &Shape) -> Vec<(String, bool)> {
    let line = shape.fold_line;
    let years = shape
        .years
        .iter()
        .map(|year| year_window(*year))
        .filter(|year| year.from < line)
        .map(|year| {
            let hides = shape.hides && year.to > line;
            (year_table(&template.name, year.from.year()), hides)
        });
    let days = shape
        .days
        .range(line..)
        .map(|day| (day_table(&template.name, *day), false));
    years.chain(days).collect()
}

/// Whether a view over this shape would show nothing at all: PostgreSQL has no view over no table.
pub fn shows_nothing(template: &Template, shape: &Shape) -> bool {
    shown_tables(template, shape).is_empty()
}

fn tenant_view(place: Place<'_>, shape: &Shape) -> String {
    let (schema, template) = (place.schema.as_str(), place.template);
    let columns = view_columns(template);
    let arms = shown_tables(template, shape)
        .into_iter()
        .map(|(table, hides)| {
            let mut arm = format!("SELECT {columns} FROM {}", qualified(schema, &table));
            if hides {
                arm += &format!(
                    " WHERE {} < {}",
                    ident(&template.time_column),
                    bound(shape.fold_line, template.time_type())
                );
            }
            arm
        })
        .collect::<Vec<_>>()
        .join("\nUNION ALL ");
    format!(
        "CREATE OR REPLACE VIEW {} AS {arms}",
        qualified(schema, template.name.as_str())
    )
}

fn public_view(public: &str, template: &Template, schemas: &[String]) -> String {
    let columns = template
        .columns
        .iter()
        .map(|c| ident(&c.name))
        .collect::<Vec<_>>()
        .join(", ");
    let arms = schemas
        .iter()
        .map(|schema| {
            format!(
                "SELECT {}::text AS schema_name, {columns} FROM {}",
                literal(schema),
                qualified(schema, template.name.as_str())
            )
        })
        .collect::<Vec<_>>()
        .join("\nUNION ALL ");
    format!(
        "CREATE OR REPLACE VIEW {} AS {arms}",
        qualified(public, template.name.as_str())
    )
}

/// The relations (`schema.name`) that a view reads; `None` when the view does not exist.
pub async fn reads(
    session: &Session,
    schema: &str,
    view: &str,
) -> Result<Option<BTreeSet<(String, String)>>> {
    let rows = session
        .query(
            "SELECT DISTINCT n2.nspname::text, c2.relname::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_rewrite w ON w.ev_class = c.oid \
             LEFT JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid \
                  AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid \
             LEFT JOIN pg_class c2 ON c2.oid = d.refobjid LEFT JOIN pg_namespace n2 ON n2.oid = c2.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'v'",
            &[&schema, &view],
        )
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        rows.iter()
            .filter_map(|row| row.get::<_, Option<String>>(0).zip(row.get(1)))
            .collect(),
    ))
}

/// Replaces the tenant view with one that shows all of `shape`, within a transaction of the caller's. Grants stay.
pub async fn replace_tenant_view(
    session: &Session,
    place: Place<'_>,
    shape: &Shape,
    reader: &str,
) -> Result<()> {
    let (schema, name) = (place.schema.as_str(), place.template.name.as_str());
    relations::refuse_foreign(session, schema, &[name.to_owned()]).await?;
    let new = reads(session, schema, name).await?.is_none();
    session.batch(&tenant_view(place, shape)).await?;
    if new {
        made(session, place, RelationKind::TenantView, schema, reader).await?;
    }
    Ok(())
}

async fn made(
    session: &Session,
    place: Place<'_>,
    kind: RelationKind,
    schema: &str,
    reader: &str,
) -> Result<()> {
    let name = place.template.name.as_str();
    session
        .batch(&format!(
            "GRANT SELECT ON {} TO {}",
            qualified(schema, name),
            ident(reader)
        ))
        .await?;
    let tenant = (kind == RelationKind::TenantView).then_some(place.tenant);
    relations::add(
        session,
        tenant,
        &place.template.name,
        &[Relation {
            schema: schema.to_owned(),
            name: name.to_owned(),
            kind,
            window: None,
        }],
    )
    .await
}

/// How long a reader is waited for when the view only lacks days that are not needed yet: the next run tries again,
/// and tables are made days ahead.
const AHEAD_PATIENCE: Duration = Duration::from_secs(2);

/// Brings the tenant view and the public view in line with `shape`; touches nothing when they are. Of the days, those
/// up to `today` and those of `days` must be shown; others lie ahead, and may have to wait for a reader.
///
/// # Errors
/// Refused when a relation of a view's name is not ours; a lock timeout when readers held the view for longer than a BI
/// tool's long query; the warehouse's.
pub async fn show(
    session: &Session,
    place: Place<'_>,
    shape: &Shape,
    today: Day,
    days: &BTreeSet<Day>,
    context: WarehouseContext<'_>,
) -> Result<()> {
    let WarehouseContext {
        reader,
        lock_timeout,
        ..
    } = context;
    let (schema, name) = (place.schema.as_str(), place.template.name.as_str());
    let expected: BTreeSet<_> = shown_tables(place.template, shape)
        .into_iter()
        .map(|(table, _)| (schema.to_owned(), table))
        .collect();
    let shown = reads(session, schema, name).await?;
    if shown.as_ref() != Some(&expected) {
        let ahead = |day: &&Day| **day > today && !days.contains(*day);
        let ahead: BTreeSet<_> = shape
            .days
            .iter()
            .filter(ahead)
            .map(|day| (schema.to_owned(), day_table(&place.template.name, *day)))
            .collect();
        let can_wait = shown.is_some_and(|shown| {
            shown
                .symmetric_difference(&expected)
                .all(|table| ahead.contains(table))
        });
        let replace = async || replace_tenant_view(session, place, shape, reader).await;
        let replaced = if can_wait {
            patient_transaction(session, lock_timeout, AHEAD_PATIENCE, None, replace).await
        } else {
            short_transaction(session, lock_timeout, replace).await
        };
        match replaced {
            Err(error) if can_wait && about_locks(&error) => {
                tracing::debug!(%error, "coming days are not in the view yet");
            }
            other => other.at(|| format!("tenant view `{schema}.{name}`"))?,
        }
    }
    show_in_public(session, place, reader, lock_timeout)
        .await
        .at(|| format!("public view `{}.{name}`", session.schemas().public))
}

async fn show_in_public(
    session: &Session,
    place: Place<'_>,
    reader: &str,
    lock_timeout: Duration,
) -> Result<()> {
    let public = session.schemas().public.as_str();
    let name = place.template.name.as_str();
    let expected = |schemas: &[String]| -> BTreeSet<_> {
        schemas
            .iter()
            .map(|s| (s.clone(), name.to_owned()))
            .collect()
    };
    let schemas = relations::tenant_views(session, &place.template.name).await?;
    if reads(session, public, name).await?.as_ref() == Some(&expected(&schemas)) {
        return Ok(());
    }
    short_transaction(session, lock_timeout, async || {
        // Two rebuilds at once would lose a tenant: one at a time, and the list is read after the lock.
        let key = xxh3_64(format!("dayhaul public view {name}").as_bytes()).cast_signed();
        session
            .query("SELECT 1 FROM pg_advisory_xact_lock($1)", &[&key])
            .await?;
        let schemas = relations::tenant_views(session, &place.template.name).await?;
        let shown = reads(session, public, name).await?;
        if shown.as_ref() == Some(&expected(&schemas)) {
            return Ok(());
        }
        relations::refuse_foreign(session, public, &[name.to_owned()]).await?;
        session
            .batch(&public_view(public, place.template, &schemas))
            .await?;
        if shown.is_none() {
            made(session, place, RelationKind::PublicView, public, reader).await?;
        }
        Ok(())
    })
    .await
}
