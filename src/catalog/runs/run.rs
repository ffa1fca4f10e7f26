//! Runs: one row an invocation that loads units; how it begins, lives, is asked to end, and ends.
//!
//! A running command writes a heartbeat every few seconds, and its session holds an advisory lock. Either is proof of
//! life: the lock outlasts a host that is slow, the heartbeat a connection that is being reopened. A run without an end
//! that has neither has died.

use super::selected;
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::unit::{Day, TemplateName, TenantName, Window};
use serde_json::{Value, json};
use std::time::Duration;

/// How often a run writes its heartbeat, and checks for a cancel request.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// A run that was silent for so many heartbeats, and holds no lock, has died.
const SILENT_HEARTBEATS: u64 = 3;

/// First key of the advisory locks that runs hold: "dayh" in ASCII. The second is the run's id.
const LOCK_CLASS: i32 = 0x6461_7968;

/// Who runs what, as `_wh.run` keeps it.
#[derive(Debug, Clone)]
pub struct RunHeader {
    pub command: String,
    /// The command line as given, without the program's name. Secrets cannot stand in it.
    pub arguments: Vec<String>,
    pub host: String,
    pub pid: i32,
    /// The UTC date on which it reads sources; `None` when it reads none.
    pub today: Option<Day>,
}

impl RunHeader {
    /// This process, running `command`.
    pub fn of_this_process(command: &str) -> RunHeader {
        RunHeader {
            command: command.to_owned(),
            arguments: std::env::args().skip(1).collect(),
            host: host_name(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            today: None,
        }
    }

    /// The same run, which reads sources on this date.
    #[must_use]
    pub fn reading_on(self, today: Day) -> RunHeader {
        RunHeader {
            today: Some(today),
            ..self
        }
    }
}

/// Who this process is to others: "alice on db1".
pub fn this_person() -> String {
    let known = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    match known("USER").or_else(|| known("LOGNAME")) {
        Some(user) => format!("{user} on {}", host_name()),
        None => format!("unknown user on {}", host_name()),
    }
}

fn host_name() -> String {
    match whoami::hostname() {
        Ok(name) if !name.is_empty() => name,
        _ => "unknown".to_owned(),
    }
}

/// SQL: a session holds the lock of run `r`.
pub fn holds_its_lock() -> String {
    format!(
        "EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND l.classid = {LOCK_CLASS}::oid AND l.objid = (r.id % 2147483647)::oid)"
    )
}

/// SQL: the outcome of run `r`, with `running` and `died` for those without a recorded end.
pub fn outcome() -> String {
    let silence = HEARTBEAT.as_secs() * SILENT_HEARTBEATS;
    format!(
        "coalesce(r.outcome, CASE WHEN r.heartbeat_at > clock_timestamp() - interval '{silence} seconds' OR {} \
         THEN 'running' ELSE 'died' END)",
        holds_its_lock()
    )
}

/// Begins a run and gives its id. It reads sources no later than on the warehouse's date, whatever the host's clock says.
///
/// # Errors
/// The warehouse's.
pub async fn begin(session: &Session, run: &RunHeader) -> Result<i64> {
    let wh = session.catalog();
    let row = session
        .query_one(
            &format!(
                "INSERT INTO {wh}.run (command, arguments, host, pid, version, today) \
             VALUES ($1, $2, $3, $4, $5, CASE WHEN $6::date IS NOT NULL \
                THEN least($6, (clock_timestamp() AT TIME ZONE 'UTC')::date) END) RETURNING id"
            ),
            &[
                &run.command,
                &run.arguments,
                &run.host,
                &run.pid,
                &env!("CARGO_PKG_VERSION"),
                &run.today,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Takes the run's own lock for as long as the session lives. One that is still with a former session of the run is left
/// there: the heartbeat then speaks for the run.
///
/// # Errors
/// The warehouse's.
pub async fn take_lock(session: &Session, run: i64) -> Result<()> {
    session
        .query_one(
            "SELECT pg_try_advisory_lock($1, ($2::bigint % 2147483647)::integer)",
            &[&LOCK_CLASS, &run],
        )
        .await?;
    Ok(())
}

/// Writes down what the run was asked for: its pairs, and the days of each, resolved once.
///
/// # Errors
/// The warehouse's.
pub async fn select<'a>(
    session: &Session,
    run: i64,
    pairs: impl IntoIterator<Item = (&'a TenantName, &'a TemplateName, Vec<Window>)>,
) -> Result<()> {
    let wh = session.catalog();
    let selection: Value = pairs
        .into_iter()
        .map(|(tenant, template, days)| selected::to_json(tenant, template, &days))
        .collect();
    session
        .execute(
            &format!("UPDATE {wh}.run SET selection = $2::text::jsonb WHERE id = $1"),
            &[&run, &selection.to_string()],
        )
        .await?;
    Ok(())
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Units that it has to do something about.
    pub planned: u64,
    /// Those of them that it is through with, also those that failed.
    pub done: u64,
}

/// Says that the run is alive, and how far it is, if that is known. Gives who asked it to end, if somebody did.
///
/// # Errors
/// The warehouse's.
pub async fn heartbeat(
    session: &Session,
    run: i64,
    progress: Option<Progress>,
) -> Result<Option<String>> {
    let wh = session.catalog();
    let progress = progress.map(|p| json!({"planned": p.planned, "done": p.done}).to_string());
    let row = session
        .query_opt(
            &format!("UPDATE {wh}.run SET heartbeat_at = clock_timestamp(), \
                progress = CASE WHEN ended_at IS NULL THEN $2::text::jsonb END WHERE id = $1 \
             RETURNING CASE WHEN cancel_requested_at IS NOT NULL THEN coalesce(cancel_requested_by, 'somebody') END"),
            &[&run, &progress],
        )
        .await?;
    Ok(row.and_then(|row| row.get(0)))
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    pub outcome: &'a str,
    pub totals: &'a Value,
    /// As `_wh.run.failures` documents them.
    pub failures: &'a Value,
}

/// Ends a run, and counts its units that took more than one try. Its commit is synchronous, and so flushes every commit of
/// the run before it.
///
/// # Errors
/// The warehouse's; the run's outcome must then not be reported as done.
pub async fn end(session: &Session, run: i64, end: End<'_>) -> Result<()> {
    let wh = session.catalog();
    session
        .batch("BEGIN; SET LOCAL synchronous_commit = on")
        .await?;
    session
        .execute(
            &format!("UPDATE {wh}.run SET ended_at = clock_timestamp(), heartbeat_at = clock_timestamp(), outcome = $2, \
             totals = $3::text::jsonb || jsonb_build_object('retried', \
                (SELECT count(*) FROM {wh}.attempt WHERE run = $1 AND tries > 1)), \
             failures = $4::text::jsonb, progress = NULL WHERE id = $1"),
            &[
                &run,
                &end.outcome,
                &end.totals.to_string(),
                &end.failures.to_string(),
            ],
        )
        .await?;
    session.batch("COMMIT").await
}

/// A run as one phrase needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStatus {
    /// "run 12 (`backfill`, host a, pid 77)".
    pub name: String,
    /// `running`, `died`, or how it ended.
    pub outcome: String,
    /// When it ended, or its last heartbeat: "2024-01-15 03:00:00 UTC".
    pub at: String,
    /// Who asked it to end.
    pub asked_by: Option<String>,
}

/// A run's current state.
///
/// # Errors
/// There is no such run; the warehouse's.
pub async fn standing(session: &Session, run: i64) -> Result<RunStatus> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!(
                "SELECT format('run %s (`%s`, host %s, pid %s)', r.id, r.command, r.host, r.pid), {}, \
                        to_char(coalesce(r.ended_at, r.heartbeat_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"'), \
                        r.cancel_requested_by FROM {wh}.run r WHERE r.id = $1",
                outcome()
            ),
            &[&run],
        )
        .await?
        .ok_or_else(|| unknown(run))?;
    Ok(RunStatus {
        name: row.get(0),
        outcome: row.get(1),
        at: row.get(2),
        asked_by: row.get(3),
    })
}

/// There is no such run.
pub fn unknown(run: i64) -> Error {
    Error::refused(format!("there is no run {run}")).with_hint("see them with `dayhaul history`")
}

/// Asks a run to end; it looks every few seconds. Gives how it stood before: who asked first, if somebody had.
///
/// # Errors
/// There is no such run, it has ended, or it died; the warehouse's.
pub async fn request_cancel(session: &Session, run: i64, by: &str) -> Result<RunStatus> {
    let wh = session.catalog();
    let standing = standing(session, run).await?;
    let name = &standing.name;
    match standing.outcome.as_str() {
        "running" => {}
        "died" => {
            return Err(Error::refused(format!(
                "{name} died; its last heartbeat was at {}",
                standing.at
            ))
            .with_hint("there is nothing to cancel: run its command again to continue"));
        }
        outcome => {
            return Err(Error::refused(format!(
                "{name} already ended as {outcome} at {}",
                standing.at
            )));
        }
    }
    session
        .execute(
            &format!("UPDATE {wh}.run SET cancel_requested_at = clock_timestamp(), cancel_requested_by = $2 \
             WHERE id = $1 AND ended_at IS NULL AND cancel_requested_at IS NULL"),
            &[&run, &by],
        )
        .await?;
    Ok(standing)
}
