//! Transactions of the warehouse, and how they wait for locks.

use crate::error::{Error, Result, Side};
use crate::pg::Session;
use std::time::{Duration, Instant};

/// How long a short DDL transaction is tried against readers that hold a lock: longer than a BI tool's long query.
const DDL_PATIENCE: Duration = Duration::from_secs(600);

/// In place of the lock timeout for a staging table, which no reader holds: autovacuum, which finds so many new rows there,
/// gives way to whoever waits for `deadlock_timeout` (1 s), and else stays for as long as it takes.
pub const AUTOVACUUM_GIVES_WAY: Duration = Duration::from_secs(5);

const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Runs `work` in a short transaction under a small lock timeout, again and again with pauses for [`DDL_PATIENCE`]: readers queue behind a waiting request for a strong lock, so none may wait long.
///
/// # Errors
/// The last try's; any error that is not about locks at once.
pub async fn short_transaction<T>(
    session: &Session,
    lock_timeout: Duration,
    work: impl AsyncFn() -> Result<T>,
) -> Result<T> {
    patient_transaction(session, lock_timeout, DDL_PATIENCE, None, work).await
}

/// As [`short_transaction`], with its own patience. `wanted` is the relation (quoted) that readers hold nearly all the
/// time: a pause ends early when none does. Tries at fixed times hardly ever meet such a moment, and each makes readers
/// wait.
///
/// # Errors
/// As there.
pub async fn patient_transaction<T>(
    session: &Session,
    lock_timeout: Duration,
    patience: Duration,
    wanted: Option<&str>,
    work: impl AsyncFn() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    // The less patience, the more often: a hundred tries at least.
    let longest_pause = Duration::from_secs(2).min(patience / 100).max(FIRST_PAUSE);
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt(session, lock_timeout, &work).await {
            Err(error) if about_locks(&error) && Instant::now() + pause < deadline => {
                tracing::debug!(%error, "a reader holds the lock; trying again");
                match wanted {
                    Some(relation) => until_free(session, relation, pause).await?,
                    None => tokio::time::sleep(pause).await,
                }
                pause = (pause * 2).min(longest_pause);
            }
            // Also a refusal of ours within the transaction is about the warehouse.
            other => return other.map_err(|error| error.on(Side::Warehouse)),
        }
    }
}

/// How often a relation's locks are looked at: shorter than the moments between two queries of a busy reader.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until no session holds a lock on `relation`, or for `longest`.
async fn until_free(session: &Session, relation: &str, longest: Duration) -> Result<()> {
    let deadline = Instant::now() + longest;
    while Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
        let row = session
            .query_one(
                "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                 WHERE d.datname = current_database() AND l.relation = to_regclass($1))",
                &[&relation],
            )
            .await?;
        if !row.get::<_, bool>(0) {
            break;
        }
    }
    Ok(())
}

async fn attempt<T>(
    session: &Session,
    lock_timeout: Duration,
    work: &impl AsyncFn() -> Result<T>,
) -> Result<T> {
    session
        .batch(&format!(
            "BEGIN; SET LOCAL lock_timeout = '{}ms'",
            lock_timeout.as_millis().max(1)
        ))
        .await?;
    let result = match work().await {
        Ok(value) => session.batch("COMMIT").await.map(|()| value),
        Err(error) => Err(error),
    };
    if result.is_err() && !session.is_closed() {
        session.batch("ROLLBACK").await?;
    }
    result
}

/// In a transaction that is to replace tables: makes autovacuum leave them, which the readers' `lock_timeout` is too short
/// for. The lock on what no reader sees is the strong one already; on a table that readers see (`shown`, quoted like
/// `hidden`), one that they do not notice.
pub async fn ahead_of_autovacuum(
    session: &Session,
    hidden: &str,
    shown: Option<&str>,
    lock_timeout: Duration,
) -> Result<()> {
    let shown = shown.map_or_else(String::new, |table| {
        format!("LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE;")
    });
    session
        .batch(&format!(
            "SET LOCAL lock_timeout = '{}ms'; LOCK TABLE {hidden}; {shown} SET LOCAL lock_timeout = '{}ms'",
            AUTOVACUUM_GIVES_WAY.as_millis(),
            lock_timeout.as_millis().max(1),
        ))
        .await
}

/// Lock timeout, deadlock, serialization failure, and two sessions that made the same catalog row at once.
pub fn about_locks(error: &Error) -> bool {
    error.is_transient()
        && matches!(
            error.sqlstate(),
            Some("55P03" | "40P01" | "40001" | "23505" | "XX000")
        )
}
