//! The indexes of a template's tables: names, statements, builds.

use crate::error::{At, Result};
use crate::pg::Session;
use crate::schema::Scalar;
use crate::sql::{ident, qualified};
use crate::template::Template;
use crate::warehouse::context::WarehouseContext;
use crate::warehouse::place::Place;
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeSet;

/// The name of a table's index, counted from 1.
pub fn index_name(table: &str, index: usize) -> String {
    format!("{table}_i{}", index + 1)
}

/// Number of indexes of each table of the template.
pub fn index_count(template: &Template) -> usize {
    template.indexes.len() + usize::from(!template.unique.is_empty())
}

/// One statement an index, for `table`, with a unique one when the template declares unique columns. Nothing happens where
/// an index exists.
///
/// Side by side, the last should not be waited for alone: text takes longest to sort; the time, and most keys, are nearly
/// in order.
pub fn index_statements(schema: &str, table: &str, template: &Template) -> Vec<String> {
    let named = named_statements(schema, table, template).into_iter();
    named.map(|(_, statement)| statement).collect()
}

/// As [`index_statements`], each with the name of its index.
fn named_statements(schema: &str, table: &str, template: &Template) -> Vec<(String, String)> {
    let unique = (!template.unique.is_empty()).then_some(("UNIQUE ", &template.unique));
    let plain = template.indexes.iter().map(|columns| ("", columns));
    let mut indexes: Vec<_> = unique.into_iter().chain(plain).enumerate().collect();
    let is_text = |name: &String| {
        let column = template.columns.iter().find(|c| c.name == *name);
        column.is_some_and(|c| matches!(c.ty.scalar, Scalar::Text | Scalar::Varchar))
    };
    indexes.sort_by_key(|(_, (unique, columns))| {
        let in_order = !unique.is_empty() || columns.first() == Some(&template.time_column);
        (!columns.iter().any(is_text), in_order)
    });
    indexes
        .into_iter()
        .map(|(i, (unique, columns))| {
            let columns: Vec<_> = columns.iter().map(|c| ident(c)).collect();
            let name = index_name(table, i);
            let statement = format!(
                "CREATE {unique}INDEX IF NOT EXISTS {} ON {} ({})",
                ident(&name),
                qualified(schema, table),
                columns.join(", "),
            );
            (name, statement)
        })
        .collect()
}

/// Makes the indexes of a table that do not exist yet. Blocks writers of that table, not readers.
///
/// # Errors
/// The warehouse's.
pub async fn create_indexes(session: &Session, place: Place<'_>, table: &str) -> Result<()> {
    session
        .batch(&index_statements(place.schema.as_str(), table, place.template).join(";"))
        .await
}

/// The statements of indexes that a table lacks.
///
/// # Errors
/// The warehouse's.
pub async fn missing_indexes(
    session: &Session,
    place: Place<'_>,
    table: &str,
) -> Result<Vec<String>> {
    let schema = place.schema.as_str();
    let named = named_statements(schema, table, place.template);
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let rows = session
        .query(
            "SELECT name FROM unnest($1::text[]) AS name \
             WHERE to_regclass(format('%I.%I', $2::text, name)) IS NULL",
            &[&names, &schema],
        )
        .await?;
    let missing: BTreeSet<&str> = rows.iter().map(|row| row.get(0)).collect();
    let missing = |(name, statement): &(String, String)| {
        missing.contains(name.as_str()).then(|| statement.clone())
    };
    Ok(named.iter().filter_map(missing).collect())
}

/// As [`create_indexes`], in separate sessions: up to `jobs` indexes at once.
///
/// # Errors
/// The warehouse's.
pub async fn build_indexes(
    session: &Session,
    place: Place<'_>,
    table: &str,
    warehouse: WarehouseContext<'_>,
    jobs: usize,
) -> Result<()> {
    let statements = index_statements(place.schema.as_str(), table, place.template);
    let lanes = session.side_by_side(jobs);
    // Parallel workers cost more than they bring where every session has its own index: measured, a seventh of the CPU.
    let one_each = statements.len() >= lanes;
    futures::stream::iter(statements)
        .map(|statement| async move {
            let session = warehouse.open_session().await?;
            if one_each {
                session
                    .batch("SET max_parallel_maintenance_workers = 0")
                    .await?;
            }
            session.batch_or_cancel(&statement).await
        })
        .buffer_unordered(lanes)
        .try_collect::<()>()
        .await
        .at(|| format!("table `{}.{table}`", place.schema))
}

/// Statements that rename a table and its indexes.
pub fn rename(place: Place<'_>, from: &str, to: &str) -> Vec<String> {
    let schema = place.schema.as_str();
    let table = format!(
        "ALTER TABLE {} RENAME TO {}",
        qualified(schema, from),
        ident(to)
    );
    // An index that was dropped by hand is not needed.
    let index = |i| {
        format!(
            "ALTER INDEX IF EXISTS {} RENAME TO {}",
            qualified(schema, &index_name(from, i)),
            ident(&index_name(to, i))
        )
    };
    std::iter::once(table)
        .chain((0..index_count(place.template)).map(index))
        .collect()
}
