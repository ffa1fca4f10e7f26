//! The snapshot barrier: waits until every snapshot older than now has ended.
//!
//! A fold copies rows into a place that no view shows, and then replaces the view. A reader whose snapshot is older than
//! the copy would see neither the old place (the view names it no more) nor the new rows (they are not in its snapshot):
//! days would vanish. So between copy and reveal every older snapshot of this database must end. CREATE INDEX
//! CONCURRENTLY waits for exactly these, takes no lock that a reader could feel, and needs no right to look into other
//! sessions; reading `backend_xmin` again and again can starve.

use crate::error::{Error, Result};
use crate::pg::{Access, Session};
use crate::warehouse::context::open_session;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// How a barrier ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Barrier {
    /// No snapshot is left that is older than the call.
    Passed,
    /// A reader still holds one.
    NotYet,
    /// The caller's token was cancelled.
    Interrupted,
}

/// One barrier at a time: two builds of an index on one table wait for each other. The key is `barrier!` in ASCII.
const LOCK: i64 = 0x6261_7272_6965_7221;

/// How often the lock of another run's barrier is tried. Waiting for it in a statement would hold a snapshot, for which
/// that barrier would wait.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// Waits up to `timeout`. The caller must hold no transaction open meanwhile, in any session.
///
/// # Errors
/// The warehouse's.
pub async fn barrier(
    access: &Access,
    owner: &str,
    timeout: Duration,
    stop: &CancellationToken,
) -> Result<Barrier> {
    let session = open_session(access, owner).await?;
    let canceller = session.canceller();
    let mut waiting = std::pin::pin!(wait(&session, Instant::now() + timeout, stop));
    let end = tokio::select! {
        end = &mut waiting => return end,
        () = stop.cancelled() => canceller.cancel().await,
    };
    // The statement ends at once, and the index is dropped before the session ends. When the server could not be asked
    // to, the session's end does the same; the index is the next barrier's to drop.
    if end.is_ok() {
        let _ = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    }
    Ok(Barrier::Interrupted)
}

async fn wait(session: &Session, deadline: Instant, stop: &CancellationToken) -> Result<Barrier> {
    // A killed loader's barrier should not stand in the way of the next one until its timeout. Not every platform's
    // server can watch its client: then it does.
    let _ = session
        .batch("SET client_connection_check_interval = '1s'")
        .await;
    while !try_lock(session).await? {
        if stop.is_cancelled() {
            return Ok(Barrier::Interrupted);
        }
        if Instant::now() + TRY_AGAIN > deadline {
            return Ok(Barrier::NotYet);
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    session
        .batch(&format!(
            "CREATE TABLE IF NOT EXISTS {} (nothing integer)",
            table(session)
        ))
        .await?;
    drop_indexes(session).await?;
    let left = deadline.saturating_duration_since(Instant::now());
    let result = build_index(session, left).await;
    drop_indexes(session).await?;
    match result {
        Ok(()) => Ok(Barrier::Passed),
        Err(error) if is_timeout(&error) => Ok(Barrier::NotYet),
        Err(error) => Err(error),
    }
}

/// The table that never holds a row.
fn table(session: &Session) -> String {
    format!("{}.barrier", session.catalog())
}

async fn try_lock(session: &Session) -> Result<bool> {
    let row = session
        .query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])
        .await?;
    Ok(row.get(0))
}

async fn build_index(session: &Session, timeout: Duration) -> Result<()> {
    // A name that no index has which could not be dropped.
    let name = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_micros());
    session
        .batch(&format!(
            "SET lock_timeout = 0; SET statement_timeout = {}",
            timeout.as_millis().max(1)
        ))
        .await?;
    // Alone in its message: it cannot run inside a transaction, and several statements are one.
    let built = session
        .batch(&format!(
            "CREATE INDEX CONCURRENTLY barrier_{name} ON {} (nothing)",
            table(session)
        ))
        .await;
    if !session.is_closed() {
        session.batch("RESET statement_timeout").await?;
    }
    built
}

/// Drops the indexes of the table, valid or not: this barrier's, and those that killed runs left. A dump of the database
/// holds a lock on every table, so one may have to stay; a later barrier drops it.
async fn drop_indexes(session: &Session) -> Result<()> {
    if session.is_closed() {
        return Ok(());
    }
    let indexes = session
        .query(
            "SELECT i.indexrelid::regclass::text FROM pg_index i WHERE i.indrelid = to_regclass($1)",
            &[&table(session)],
        )
        .await?;
    session.batch("SET lock_timeout = '100ms'").await?;
    for index in &indexes {
        let name: &str = index.get(0);
        if let Err(error) = session.batch(&format!("DROP INDEX IF EXISTS {name}")).await {
            tracing::debug!(%error, index = name, "the barrier's index stays until the next one");
        }
    }
    Ok(())
}

/// `statement_timeout`, or the server's choice of this session to end a deadlock.
fn is_timeout(error: &Error) -> bool {
    matches!(error.sqlstate(), Some("57014" | "55P03" | "40P01"))
}
