//! Numbered migrations of the catalog. Only `dayhaul init` applies them; every other command checks the version.

use crate::error::{Error, Result};
use crate::pg::Session;

/// One step of the catalog's shape. Applied ones never change.
pub struct Migration {
    pub version: i32,
    pub name: &'static str,
    /// `{wh}` in it is the catalog's schema.
    pub sql: &'static str,
}

/// All of them, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "catalog",
        sql: include_str!("migrations/0001_catalog.sql"),
    },
    Migration {
        version: 2,
        name: "history",
        sql: include_str!("migrations/0002_history.sql"),
    },
    Migration {
        version: 3,
        name: "rebuild",
        sql: include_str!("migrations/0003_rebuild.sql"),
    },
    Migration {
        version: 4,
        name: "landing",
        sql: include_str!("migrations/0004_landing.sql"),
    },
    Migration {
        version: 5,
        name: "restore",
        sql: include_str!("migrations/0005_restore.sql"),
    },
    Migration {
        version: 6,
        name: "hides",
        sql: include_str!("migrations/0006_hides.sql"),
    },
    Migration {
        version: 7,
        name: "search_path",
        sql: include_str!("migrations/0007_search_path.sql"),
    },
    Migration {
        version: 8,
        name: "windows",
        sql: include_str!("migrations/0008_windows.sql"),
    },
    Migration {
        version: 9,
        name: "settled",
        sql: include_str!("migrations/0009_settled.sql"),
    },
    Migration {
        version: 10,
        name: "files",
        sql: include_str!("migrations/0010_files.sql"),
    },
    Migration {
        version: 11,
        name: "progress",
        sql: include_str!("migrations/0011_progress.sql"),
    },
];

/// Where the applied ones are kept.
pub const TABLE: &str = "migration";

/// The version this program works with.
pub fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |m| m.version)
}

/// The names of the tables a migration makes, read from its own text.
pub fn tables(migration: &Migration) -> impl Iterator<Item = &'static str> {
    migration
        .sql
        .split("CREATE TABLE {wh}.")
        .skip(1)
        .filter_map(|rest| rest.split([' ', '(']).next())
}

/// Checks that the warehouse's catalog is of the version this program knows.
///
/// # Errors
/// It is missing, older or newer.
pub async fn check(session: &Session) -> Result<()> {
    let applied = match applied(session).await {
        // Another table of that name, or a missing right: `init` explains which.
        Err(e) if matches!(e.sqlstate(), Some("42P01" | "42501" | "42703")) => {
            return Err(not_initialised().with_source(e));
        }
        other => other?,
    };
    match applied.last().copied().unwrap_or(0) {
        0 => Err(not_initialised()),
        v if v > newest() => Err(too_new(v)),
        v if v < newest() => Err(Error::refused(format!(
            "the warehouse's catalog has version {v}, this dayhaul needs {}",
            newest()
        ))
        .with_hint("run `dayhaul init`")),
        _ => Ok(()),
    }
}

/// Whether a catalog is there, of whatever version.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn is_there(session: &Session) -> Result<bool> {
    let row = session
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $2 AND c.relname = $1)",
            &[&TABLE, &session.schemas().catalog],
        )
        .await?;
    Ok(row.get(0))
}

/// Whether a catalog is there that holds nothing yet and lacks migrations: an earlier version of the program was ended while
/// it prepared the database.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn is_unfinished(session: &Session) -> Result<bool> {
    let wh = session.catalog();
    if applied(session).await?.last() >= Some(&newest()) {
        return Ok(false);
    }
    let tenants = session
        .query(&format!("SELECT FROM {wh}.tenant LIMIT 1"), &[])
        .await;
    match tenants {
        Ok(rows) => Ok(rows.is_empty()),
        Err(e) if e.sqlstate() == Some("42P01") => Ok(true),
        Err(e) => Err(e),
    }
}

/// There is no catalog yet.
pub fn not_initialised() -> Error {
    Error::refused("the warehouse has no Dayhaul catalog").with_hint("run `dayhaul init`")
}

/// A newer program was here.
pub fn too_new(version: i32) -> Error {
    Error::refused(format!(
        "the warehouse's catalog has version {version}, this dayhaul knows up to {}",
        newest()
    ))
    .with_hint("install a newer dayhaul on this host")
}

/// Versions that were applied, in order.
///
/// # Errors
/// `_wh.migration` is not there or not ours.
pub async fn applied(session: &Session) -> Result<Vec<i32>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT version FROM {wh}.migration ORDER BY version"),
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Makes the table of migrations. Runs in the caller's transaction.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn create_table(session: &Session) -> Result<()> {
    let wh = session.catalog();
    session
        .batch(&format!(
            "CREATE TABLE {wh}.migration ( \
                 version    integer PRIMARY KEY, \
                 name       text NOT NULL, \
                 applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        ))
        .await
}

/// Applies one migration and writes it down. Runs in the caller's transaction.
///
/// # Errors
/// Those of PostgreSQL, with the migration's number.
pub async fn apply(session: &Session, migration: &Migration) -> Result<()> {
    let wh = session.catalog();
    let place = |e: Error| {
        e.at(format!(
            "migration {:04} `{}`",
            migration.version, migration.name
        ))
    };
    let sql = migration.sql.replace("{wh}", wh);
    session.batch(&sql).await.map_err(place)?;
    session
        .execute(
            &format!("INSERT INTO {wh}.migration (version, name) VALUES ($1, $2)"),
            &[&migration.version, &migration.name],
        )
        .await
        .map_err(place)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_from_one_without_gaps() {
        for (i, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(migration.version).unwrap(), i + 1);
        }
    }

    #[test]
    fn a_migrations_tables_are_read_from_its_text() {
        let names: Vec<_> = tables(&MIGRATIONS[0]).collect();
        assert_eq!(
            names.len(),
            MIGRATIONS[0].sql.matches("CREATE TABLE").count()
        );
        assert!(
            names.contains(&"tenant") && names.contains(&"relation"),
            "{names:?}"
        );
    }
}
