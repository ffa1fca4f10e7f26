//! Detects a pooler in front of the warehouse that hands each transaction to another server process.
//!
//! Our advisory locks belong to a server process. Behind such a pooler they would be taken in one process and released,
//! or not, in another, and a stranger would inherit them.

use super::{Access, Purpose, connect, for_warehouse};
use crate::error::{At, Error, Result, Side};
use crate::pg::conninfo::env::process_env;
use crate::pg::conninfo::resolved::Target;
use crate::pg::session::Session;
use crate::sql::literal;
use std::hash::{BuildHasher, RandomState};

/// A busy pool may hand back the same process by luck; not so often in a row.
const ROUNDS: u32 = 3;

const LOOK: &str = "SELECT pg_catalog.current_setting('dayhaul.probe', true)";

/// Said for each transaction: a login's default may be one that waits for others to end.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY NOT DEFERRABLE";

/// Opens the first session of [`Purpose::Warehouse`], unless it is behind a pooler in transaction or statement mode.
/// Until that is known two sessions are plain ones, in which nothing is set but `dayhaul.probe`.
///
/// # Errors
/// [`crate::error::Kind::Refused`] behind such a pooler; as [`connect`].
pub async fn connect_unpooled(access: &Access) -> Result<Session> {
    let opened = open_unpooled(access).await;
    opened.map_err(|error| error.on(Side::Warehouse))
}

async fn open_unpooled(access: &Access) -> Result<Session> {
    let (a, b) = tokio::try_join!(
        connect(access, Purpose::Plain),
        connect(access, Purpose::Plain)
    )?;
    let place = || format!("`{}`", a.endpoint());
    for _ in 0..ROUNDS {
        if shares_a_process(&a, &b).await.at(place)? {
            return Err(Error::refused(
                "the warehouse is behind a pooler in transaction or statement mode; \
                 Dayhaul's locks need a server session that stays the same",
            )
            .with_hint(
                "connect to PostgreSQL directly, or to a pool in session mode (PgBouncer: `pool_mode = session`)",
            )
            .at(place()));
        }
    }
    let target = Target::resolve(&access.url, &process_env)?;
    for_warehouse(a, &target, &access.schemas).await
}

/// One round: `a` marks its server process, and both look where the mark is.
async fn shares_a_process(a: &Session, b: &Session) -> Result<bool> {
    let mark = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
    a.simple(&format!(
        "{BEGIN}; SELECT pg_catalog.set_config('dayhaul.probe', {}, false); COMMIT",
        literal(&mark)
    ))
    .await?;
    let look = format!("{BEGIN}; {LOOK}; COMMIT");
    if finds(b, &look, &mark).await? {
        return Ok(true);
    }
    // `b` keeps a process to itself for a transaction. A pool of transactions must now serve `a` from what is left.
    match b.batch(BEGIN).await {
        Ok(()) => {}
        // PgBouncer's statement mode, in its own words.
        Err(e) if e.message().contains("statement pooling") => return Ok(true),
        Err(e) => return Err(e),
    }
    let shares = finds(b, LOOK, &mark).await? || !finds(a, &look, &mark).await?;
    b.batch("ROLLBACK").await?;
    a.simple(&format!(
        "{BEGIN}; SELECT pg_catalog.set_config('dayhaul.probe', '', false); COMMIT"
    ))
    .await?;
    Ok(shares)
}

async fn finds(session: &Session, look: &str, mark: &str) -> Result<bool> {
    let found = session.simple(look).await?;
    Ok(found.value(0, 0) == Some(mark))
}
