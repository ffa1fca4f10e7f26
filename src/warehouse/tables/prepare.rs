//! What a pair's load needs before its workers start: schema, tables. The schema is made by one session: concurrent
//! creation fails in PostgreSQL's own catalogs.

use super::definitions::{create_table, day_table, staging_table, year_table};
use super::indexes::{index_count, index_name};
use super::replication::identity_statement;
use super::shape::{Destination, Shape, year_window};
use super::transaction::short_transaction;
use crate::catalog::registry::relations::{self, Relation, RelationKind};
use crate::catalog::setup::owners::refuse_other_owner;
use crate::error::Result;
use crate::pg::Session;
use crate::sql::{ident, qualified};
use crate::unit::{Day, Window};
use crate::warehouse::context::WarehouseContext;
use crate::warehouse::place::Place;
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::time::Duration;

/// Tables made in one transaction: each holds locks (itself, its TOAST table and that one's index) until the commit,
/// and a stock server has room for about 6,400 in all.
const TABLES_A_TRANSACTION: usize = 50;

/// Sessions that make tables side by side.
const SESSIONS: usize = 4;

/// A table that is to be made, without indexes.
pub struct NewTable {
    name: String,
    /// Of a staging table: the year has a table, which it is to replace.
    replaces: bool,
    kind: RelationKind,
    window: Window,
}

impl NewTable {
    pub fn day(place: Place<'_>, day: Day) -> NewTable {
        NewTable {
            name: day_table(&place.template.name, day),
            replaces: false,
            kind: RelationKind::Day,
            window: Window::single(day),
        }
    }

    pub fn staging(place: Place<'_>, year: i32, replaces: bool) -> NewTable {
        NewTable {
            name: staging_table(&place.template.name, year),
            replaces,
            kind: RelationKind::Staging,
            window: year_window(year),
        }
    }
}

/// Makes the tenant's schema, and the tables that `days` and the coming days need; adds them to `shape`.
///
/// # Errors
/// Refused when a relation of a needed name is not ours; the warehouse's.
pub async fn prepare(
    session: &Session,
    place: Place<'_>,
    shape: &mut Shape,
    days: &BTreeSet<Day>,
    today: Day,
    context: WarehouseContext<'_>,
) -> Result<()> {
    let WarehouseContext {
        reader,
        lock_timeout,
        ..
    } = context;
    make_schema(session, place, reader, lock_timeout).await?;
    let missing = missing_tables(place, shape, days, today);
    let (first, others) = missing.split_at(missing.len().min(TABLES_A_TRANSACTION));
    let make = async |session: &Session, tables: &[NewTable]| {
        short_transaction(session, lock_timeout, async || {
            make_tables(session, place, tables, context).await
        })
        .await
    };
    if !first.is_empty() {
        make(session, first).await?;
    }
    // Hundreds of day tables: not by one session alone.
    let others = others.chunks(TABLES_A_TRANSACTION).map(async |tables| {
        let session = context.open_session().await?;
        make(&session, tables).await
    });
    futures::stream::iter(others)
        .buffer_unordered(SESSIONS)
        .try_collect::<()>()
        .await?;
    for table in missing {
        if table.kind == RelationKind::Day {
            shape.days.insert(table.window.from);
        } else {
            shape.staging.insert(table.window.from.year());
        }
    }
    Ok(())
}

/// Of each pair whether its tenant's schema exists, and readers may use it.
///
/// # Errors
/// The warehouse's.
pub async fn are_ready(session: &Session, places: &[Place<'_>], reader: &str) -> Result<Vec<bool>> {
    let schemas: Vec<&str> = places.iter().map(|place| place.schema.as_str()).collect();
    let rows = session
        .query(
            "SELECT n.nspname::text FROM pg_namespace n \
             WHERE n.nspname = ANY ($1) AND EXISTS \
               (SELECT FROM aclexplode(n.nspacl) a JOIN pg_roles r ON r.oid = a.grantee \
                WHERE r.rolname = $2 AND a.privilege_type = 'USAGE')",
            &[&schemas, &reader],
        )
        .await?;
    let ready: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(schemas
        .into_iter()
        .map(|schema| ready.contains(schema))
        .collect())
}

async fn make_schema(
    session: &Session,
    place: Place<'_>,
    reader: &str,
    lock_timeout: Duration,
) -> Result<()> {
    let schema = place.schema.as_str();
    let ready = are_ready(session, &[place], reader).await?;
    if ready.iter().all(|ready| *ready) {
        return Ok(());
    }
    short_transaction(session, lock_timeout, async || {
        let name = ident(schema);
        session
            .batch(&format!(
                "CREATE SCHEMA IF NOT EXISTS {name}; GRANT USAGE ON SCHEMA {name} TO {}",
                ident(reader)
            ))
            .await
    })
    .await
}

pub fn missing_tables(
    place: Place<'_>,
    shape: &Shape,
    days: &BTreeSet<Day>,
    today: Day,
) -> Vec<NewTable> {
    let mut missing = Vec::new();
    // The fold line may be later than today: after a restore, or when a clock was set back. A view needs a table to show.
    let first = today.max(shape.fold_line);
    let ahead = Window::new(first, first.plus(DAYS_AHEAD_AND_TODAY));
    let wanted: BTreeSet<Day> = days.iter().copied().chain(ahead.days()).collect();
    let mut years = BTreeSet::new();
    for day in wanted {
        match shape.destination(day) {
            Destination::DayTable if !shape.days.contains(&day) => {
                missing.push(NewTable::day(place, day));
            }
            // A year is built for days that are asked for, never for those that only lie ahead.
            Destination::Staging(year)
                if days.contains(&day) && !shape.staging.contains(&year) && years.insert(year) =>
            {
                let replaces = shape.years.contains(&year);
                missing.push(NewTable::staging(place, year, replaces));
            }
            _ => {}
        }
    }
    missing
}

const DAYS_AHEAD_AND_TODAY: i32 = super::shape::DAYS_AHEAD + 1;

/// Every name that a table needs now or later: its own, its indexes', and those of the year it may become. What stands
/// in the way is found before a row is loaded.
fn names_taken(place: Place<'_>, table: &NewTable) -> Vec<String> {
    let mut tables = vec![table.name.clone()];
    if table.kind == RelationKind::Staging && !table.replaces {
        tables.push(year_table(&place.template.name, table.window.from.year()));
    }
    let indexes: Vec<String> = tables
        .iter()
        .flat_map(|t| (0..index_count(place.template)).map(move |i| index_name(t, i)))
        .collect();
    tables.extend(indexes);
    tables
}

/// Makes tables and the catalog's lines of them, within a transaction of the caller's.
pub async fn make_tables(
    session: &Session,
    place: Place<'_>,
    tables: &[NewTable],
    context: WarehouseContext<'_>,
) -> Result<()> {
    let schema = place.schema.as_str();
    let names: Vec<String> = tables
        .iter()
        .flat_map(|table| names_taken(place, table))
        .collect();
    relations::refuse_foreign(session, schema, &names).await?;
    let creates = tables.iter().map(|table| {
        let (name, window) = (&table.name, table.window);
        create_table(schema, name, place.template, window)
    });
    session
        .batch(&creates.collect::<Vec<_>>().join(";"))
        .await?;
    let created: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
    refuse_other_owner(session, schema, &created).await?;
    let mut statements = Vec::new();
    for table in tables {
        statements.extend(identity_statement(
            schema,
            &table.name,
            context.replica_identity,
        ));
        if table.kind == RelationKind::Day {
            statements.push(format!(
                "GRANT SELECT ON {} TO {}",
                qualified(schema, &table.name),
                ident(context.reader)
            ));
        }
    }
    session.batch(&statements.join(";")).await?;
    let made: Vec<Relation> = tables
        .iter()
        .map(|table| Relation {
            schema: schema.to_owned(),
            name: table.name.clone(),
            kind: table.kind,
            window: Some(table.window),
        })
        .collect();
    relations::add(session, Some(place.tenant), &place.template.name, &made).await
}
