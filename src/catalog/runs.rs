//! Runs: one row an invocation that loads units.

use crate::error::Result;
use crate::pg::Session;

/// Who runs what, as `_wh.run` keeps it.
#[derive(Debug, Clone)]
pub struct RunHeader {
    pub command: String,
    /// The command line as given, without the program's name. Secrets cannot stand in it.
    pub arguments: Vec<String>,
    pub host: String,
    pub pid: i32,
}

impl RunHeader {
    /// This process, running `command`.
    pub fn of_this_process(command: &str) -> RunHeader {
        RunHeader {
            command: command.to_owned(),
            arguments: std::env::args().skip(1).collect(),
            host: host_name(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
        }
    }
}

fn host_name() -> String {
    let mut buffer = [0u8; 256];
    // SAFETY: gethostname writes at most `len` bytes into a buffer of that length.
    let failed = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len()) } != 0;
    let end = buffer.iter().position(|b| *b == 0).unwrap_or(0);
    match std::str::from_utf8(&buffer[..end]) {
        Ok(name) if !failed && !name.is_empty() => name.to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// Begins a run and gives its id.
///
/// # Errors
/// The warehouse's.
pub async fn begin(session: &Session, run: &RunHeader) -> Result<i64> {
    let row = session
        .query_one(
            "INSERT INTO _wh.run (command, arguments, host, pid, version) VALUES ($1, $2, $3, $4, $5) RETURNING id",
            &[&run.command, &run.arguments, &run.host, &run.pid, &env!("CARGO_PKG_VERSION")],
        )
        .await?;
    Ok(row.get(0))
}

/// Says that the run is alive.
///
/// # Errors
/// The warehouse's.
pub async fn heartbeat(session: &Session, run: i64) -> Result<()> {
    session
        .execute(
            "UPDATE _wh.run SET heartbeat_at = clock_timestamp() WHERE id = $1",
            &[&run],
        )
        .await?;
    Ok(())
}

/// Ends a run. Its commit is synchronous, and so flushes every commit of the run before it.
///
/// # Errors
/// The warehouse's; the run's outcome must then not be reported as done.
pub async fn end(session: &Session, run: i64, outcome: &str, totals: &str) -> Result<()> {
    session
        .batch("BEGIN; SET LOCAL synchronous_commit = on")
        .await?;
    session
        .execute(
            "UPDATE _wh.run SET ended_at = clock_timestamp(), heartbeat_at = clock_timestamp(), outcome = $2, \
             totals = $3::text::jsonb WHERE id = $1",
            &[&run, &outcome, &totals],
        )
        .await?;
    session.batch("COMMIT").await
}
