//! A warehouse that holds only masked values is marked: a setting of its database names the salt. A configuration
//! without that salt cannot bring true values into it, nor one with a salt masked values into a true warehouse.

use crate::error::{Error, Result};
use crate::pg::Session;
use crate::schema::Salt;
use crate::sql::{ident, literal};

/// A setting that PostgreSQL knows nothing about, and keeps.
const SETTING: &str = "dayhaul.masked";

/// Marks a database; it counts for sessions that begin from now on.
///
/// # Errors
/// The login does not own the database.
pub async fn mark(session: &Session, database: &str, salt: &Salt) -> Result<()> {
    session
        .batch(&format!(
            "ALTER DATABASE {} SET {SETTING} = {}",
            ident(database),
            literal(&salt.fingerprint())
        ))
        .await
}

/// Whether the configuration masks as this database wants it.
///
/// # Errors
/// It does not.
pub async fn check(session: &Session, masks: Option<&Salt>) -> Result<()> {
    let wanted: Option<String> = session
        .query_one(
            &format!("SELECT nullif(current_setting('{SETTING}', true), '')"),
            &[],
        )
        .await?
        .get(0);
    let configured = masks.map(Salt::fingerprint);
    match (wanted, configured) {
        (wanted, configured) if wanted == configured => Ok(()),
        (Some(_), None) => Err(Error::refused(
            "this is a laptop database, which holds only masked values, and the configuration does not mask",
        )
        .with_hint("use its own configuration: `--config DIR/dayhaul.toml`")),
        (Some(_), Some(_)) => Err(Error::refused(
            "this laptop was masked with a different salt than the one in `laptop.salt_file`",
        )
        .with_hint("restore its salt, or rebuild it: `dayhaul laptop DIR --keep --reset`")),
        (None, _) => Err(Error::refused(
            "the configuration is for a laptop (`laptop.salt_file`), but its warehouse is not a laptop database: masked \
             values would be loaded into it",
        )
        .with_hint("unset `DAYHAUL_WAREHOUSE_URL`, or use the warehouse's own configuration")),
    }
}
