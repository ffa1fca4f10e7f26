//! One writer per (tenant, template): a session advisory lock, and the lease row that fences it.
//!
//! The lock keeps a second run away. It is no fence: its connection can die while workers live. So every
//! publishing transaction reads the pair's lease row FOR SHARE and fails when another run owns it; taking a pair over
//! updates that row, and so waits for publishing transactions of the former owner.

use super::run;
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::unit::{TemplateName, TenantName};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The advisory lock's key of a pair: PostgreSQL keeps these per database.
fn key(tenant: &TenantName, template: &TemplateName) -> i64 {
    xxh3_64(format!("dayhaul pair {tenant} {template}").as_bytes()).cast_signed()
}

/// Takes the pair's lock for this session, and the lease for this run. `false`: another session has it.
///
/// # Errors
/// The warehouse's.
pub async fn try_take(
    session: &Session,
    run: i64,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<bool> {
    let row = session
        .query_one("SELECT pg_try_advisory_lock($1)", &[&key(tenant, template)])
        .await?;
    if !row.get::<_, bool>(0) {
        return Ok(false);
    }
    own(session, run, tenant, template).await?;
    Ok(true)
}

/// Takes the lock back after this run's session was lost. `false`: another session has it, or another run the lease.
///
/// # Errors
/// The warehouse's.
pub async fn try_take_back(
    session: &Session,
    run: i64,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<bool> {
    let wh = session.catalog();
    let row = session
        .query_one(
            &format!(
                "SELECT pg_try_advisory_lock($1) AND EXISTS \
               (SELECT FROM {wh}.lease WHERE tenant = $2 AND template = $3 AND run = $4)"
            ),
            &[&key(tenant, template), &tenant, &template, &run],
        )
        .await?;
    Ok(row.get(0))
}

/// How often a lock that is waited for is tried: a session that waits inside a statement holds a snapshot, and the holder
/// might be a fold that waits for older snapshots to go.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// Waits for the pair's lock, then takes the lease.
///
/// # Errors
/// The warehouse's.
pub async fn wait_and_take(
    session: &Session,
    run: i64,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<()> {
    while !try_take(session, run, tenant, template).await? {
        tokio::time::sleep(TRY_AGAIN).await;
    }
    Ok(())
}

/// The former owner's lock was released, or we would not have it. If its run has no recorded end, it died.
async fn own(
    session: &Session,
    run: i64,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!(
                "WITH died AS (UPDATE {wh}.run AS r SET outcome = 'died', ended_at = r.heartbeat_at FROM {wh}.lease AS former \
                     WHERE former.tenant = $1 AND former.template = $2 AND former.run <> $3 AND r.id = former.run \
                     AND r.ended_at IS NULL AND NOT {}) \
                 INSERT INTO {wh}.lease (tenant, template, run) VALUES ($1, $2, $3) \
                 ON CONFLICT (tenant, template) DO UPDATE SET run = excluded.run, taken_at = clock_timestamp()",
                run::holds_its_lock()
            ),
            &[&tenant, &template, &run],
        )
        .await?;
    Ok(())
}

/// Within a publishing transaction: fails unless the pair is still this run's, and keeps it so until the commit.
///
/// # Errors
/// [`Kind::Locked`] when another run took the pair over.
pub async fn check(
    session: &Session,
    run: i64,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<()> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!("SELECT run FROM {wh}.lease WHERE tenant = $1 AND template = $2 FOR SHARE"),
            &[&tenant, &template],
        )
        .await?;
    match row.map(|row| row.get::<_, i64>(0)) {
        Some(owner) if owner == run => Ok(()),
        Some(other) => Err(Error::new(
            Kind::Locked,
            format!("run {other} took the pair over from run {run}"),
        )),
        None => Err(Error::new(
            Kind::Locked,
            format!("run {run} holds no lease of the pair"),
        )),
    }
}

/// Who holds the pair: "run 12 (`backfill`, host a, pid 77) since 2024-01-15 03:00:00 UTC".
///
/// # Errors
/// The warehouse's.
pub async fn holder(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<String> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!(
                "SELECT format('run %s (`%s`, host %s, pid %s) since %s UTC', r.id, r.command, r.host, r.pid, \
                        to_char(l.taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')) \
                     || CASE WHEN {} = 'died' THEN ', which died' ELSE '' END \
                 FROM {wh}.lease l JOIN {wh}.run r ON r.id = l.run WHERE l.tenant = $1 AND l.template = $2 \
                 AND r.ended_at IS NULL",
                run::outcome()
            ),
            &[&tenant, &template],
        )
        .await?;
    // Who has the lock writes the lease right after; until then it is the former owner's.
    Ok(row.map_or_else(|| "another session".to_owned(), |row| row.get(0)))
}

/// Who holds the pair now, if anybody does.
///
/// # Errors
/// The warehouse's.
pub async fn holder_now(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
) -> Result<Option<String>> {
    let held = session
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND classid::bigint << 32 | objid::bigint = $1)",
            &[&key(tenant, template)],
        )
        .await?
        .get::<_, bool>(0);
    if held {
        holder(session, tenant, template).await.map(Some)
    } else {
        Ok(None)
    }
}
