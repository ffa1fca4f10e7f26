//! What clients ask of a private server: connections and statements, as the server counts them.
//!
//! Connections are the sessions of `pg_stat_database`. Statements are the calls of `pg_stat_statements`: those that clients send
//! and that succeed, with COPY, BEGIN and COMMIT among them. SET is left out: dozens of them travel in one message with the BEGIN
//! or the query that they are for. So is the monitor's own database.

use crate::error::Result;
use crate::pg::Session;
use std::time::{Duration, Instant};

/// How long sessions of a contestant that has ended may take to leave the server.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The counters at one moment; `None` where the server does not count.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientCounts {
    pub connections: Option<f64>,
    pub statements: Option<f64>,
}

impl ClientCounts {
    /// # Errors
    /// The server fails.
    pub async fn read(session: &Session) -> Result<ClientCounts> {
        wait_until_alone(session).await?;
        let sessions =
            "SELECT sum(sessions) FROM pg_stat_database WHERE datname <> current_database()";
        Ok(ClientCounts {
            connections: number(session, sessions).await?,
            statements: statements(session).await?,
        })
    }

    pub fn since(self, before: ClientCounts) -> ClientCounts {
        let spent = |before: Option<f64>, after: Option<f64>| Some((after? - before?).max(0.0));
        ClientCounts {
            connections: spent(before.connections, self.connections),
            statements: spent(before.statements, self.statements),
        }
    }
}

/// Makes room for the statements that follow. A full table drops its rarest ones.
///
/// # Errors
/// The server fails.
pub async fn reset(session: &Session) -> Result<()> {
    if counts_statements(session).await? {
        let reset = "SELECT public.pg_stat_statements_reset()";
        session.simple(reset).await?;
    }
    Ok(())
}

/// A session is counted when it ends at the latest.
async fn wait_until_alone(session: &Session) -> Result<()> {
    let others = "SELECT count(*) FROM pg_stat_activity \
                  WHERE backend_type = 'client backend' AND datname <> current_database()";
    let started = Instant::now();
    while number(session, others).await? != Some(0.0) && started.elapsed() < LEAVE_TIMEOUT {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn counts_statements(session: &Session) -> Result<bool> {
    let counted = "SELECT to_regclass('public.pg_stat_statements') IS NOT NULL";
    Ok(session.simple(counted).await?.value(0, 0) == Some("t"))
}

/// The statements since the last reset; `None` where some were dropped, as the sum would be too small.
async fn statements(session: &Session) -> Result<Option<f64>> {
    if !counts_statements(session).await? {
        return Ok(None);
    }
    let calls = "SELECT coalesce(sum(calls), 0) FROM public.pg_stat_statements \
                 WHERE dbid <> (SELECT oid FROM pg_database WHERE datname = current_database()) AND query !~* '^SET\\M' \
                 HAVING (SELECT dealloc FROM public.pg_stat_statements_info) = 0";
    number(session, calls).await
}

async fn number(session: &Session, sql: &str) -> Result<Option<f64>> {
    let found = session.simple(sql).await?;
    Ok(found.value(0, 0).and_then(|n| n.parse().ok()))
}
