//! What others built on our day and year tables. A fold or rebuild puts other tables in their place, and what reads the old
//! ones is left behind.

use crate::error::Result;
use crate::pg::Session;
use crate::sql::qualified;
use std::collections::BTreeSet;

/// Something that is not ours and depends on a table of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependent {
    /// ``view `bi.orders` ``.
    pub what: String,
    /// The table, `schema.name`.
    pub relation: String,
    /// The statement that drops it, for views.
    drop: Option<String>,
}

impl Dependent {
    /// The statement that removes it, as far as one is known.
    pub fn sql(&self) -> String {
        let what = &self.what;
        let drop = self.drop.clone();
        drop.unwrap_or_else(|| format!("-- drop {what}"))
    }

    /// What a person should know before the table is replaced. `view` is the tenant view.
    pub fn note(&self, view: &str) -> String {
        let (what, relation) = (&self.what, &self.relation);
        format!(
            "{what} depends on `{relation}`: a fold or rebuild leaves it behind with old rows or none, and the table cannot \
             be dropped then; let it read `{view}` instead, or run: {}",
            self.sql()
        )
    }
}

/// SQL: what depends on class `c`; `v` is the view, if it is one.
const DEPENDENTS: &str = "JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype = 'n' \
    LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid \
    LEFT JOIN pg_class v ON v.oid = w.ev_class LEFT JOIN pg_namespace vn ON vn.oid = v.relnamespace";

/// SQL: the dependents are neither in the catalog nor the table's own.
fn are_not_ours(wh: &str) -> String {
    format!(
        "v.oid IS DISTINCT FROM c.oid \
         AND NOT EXISTS (SELECT FROM {wh}.relation r WHERE r.schema_name = vn.nspname AND r.name = v.relname) \
         AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS \
           (SELECT FROM pg_constraint k WHERE k.oid = d.objid AND k.conrelid = c.oid))"
    )
}

/// Those of the schemas in which something that is not ours depends on a day or year table.
///
/// # Errors
/// The warehouse's.
pub async fn schemas_with_dependents(
    session: &Session,
    schemas: &[&str],
) -> Result<BTreeSet<String>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT DISTINCT n.nspname::text FROM {wh}.relation ours \
                 JOIN pg_namespace n ON n.nspname = ours.schema_name \
                 JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = ours.name {DEPENDENTS} \
                 WHERE ours.schema_name = ANY ($1) AND ours.kind IN ('day', 'year') AND {}",
                are_not_ours(wh)
            ),
            &[&schemas],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What depends on tables of a schema and is not in the catalog, by name.
///
/// # Errors
/// The warehouse's.
pub async fn dependents(
    session: &Session,
    schema: &str,
    tables: &[String],
) -> Result<Vec<Dependent>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT DISTINCT vn.nspname::text, v.relname::text, v.relkind::text, c.relname::text, \
                        CASE WHEN v.oid IS NULL THEN pg_describe_object(d.classid, d.objid, 0) END \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace {DEPENDENTS} \
                 WHERE n.nspname = $1 AND c.relname = ANY ($2) AND {} \
                 ORDER BY 1, 2, 4, 5",
                are_not_ours(wh)
            ),
            &[&schema, &tables],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let table: &str = row.get(3);
            let view: Option<(&str, &str)> = row.get::<_, Option<&str>>(0).zip(row.get(1));
            let kind = match row.get::<_, Option<&str>>(2) {
                Some("m") => "materialized view",
                Some("v") => "view",
                _ => "rule on table",
            };
            Dependent {
                what: match view {
                    Some((schema, name)) => format!("{kind} `{schema}.{name}`"),
                    None => row.get::<_, Option<String>>(4).unwrap_or_default(),
                },
                relation: format!("{schema}.{table}"),
                drop: view
                    .filter(|_| kind != "rule on table")
                    .map(|(schema, name)| {
                        format!("DROP {} {}", kind.to_uppercase(), qualified(schema, name))
                    }),
            }
        })
        .collect())
}
