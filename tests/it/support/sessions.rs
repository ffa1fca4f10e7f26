//! Sessions of the crate's own `pg`, for tests of it.

use dayhaul::error::{Error, Result};
use dayhaul::pg::{self, Access, Password, Purpose, Session, Url};
use std::time::Duration;

pub fn access(url: &str) -> Access {
    Access::new(
        Url::parse(url).expect("a connection string"),
        Password::default(),
    )
}

pub async fn source(url: &str) -> Result<Session> {
    pg::connect(&access(url), Purpose::Source).await
}

pub async fn one(session: &Session, sql: &str) -> String {
    let rows = session.simple(sql).await.expect(sql);
    rows.value(0, 0).unwrap_or_default().to_owned()
}

/// A query that says 1 while `session` sleeps in a statement.
pub async fn asleep(session: &Session) -> String {
    let pid = one(session, "SELECT pg_backend_pid()").await;
    format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'PgSleep'")
}

/// What a statement of `session` says that is cancelled while it runs.
pub async fn cancelled(session: &Session, other: &Session, asleep: &str) -> Error {
    let canceller = session.canceller();
    let (slept, cancelled) = tokio::join!(session.batch("SELECT pg_sleep(60)"), async {
        // A request that comes before the statement has begun cancels nothing.
        while one(other, asleep).await != "1" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        canceller.cancel().await
    });
    cancelled.unwrap();
    slept.unwrap_err()
}
