//! One writer per (tenant, template): a session advisory lock, and the lease row that fences it.
//!
//! The lock keeps a second run away. It is no fence: its connection can die while workers live. So every
//! publishing transaction reads the pair's lease row FOR SHARE and fails when another run owns it; taking a pair over
//! updates that row, and so waits for publishing transactions of the former owner.

use super::run;
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::unit::{PairNames, TemplateName, TenantName};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The advisory lock's key of a pair: PostgreSQL keeps these per database.
fn key(tenant: &TenantName, template: &TemplateName) -> i64 {
    xxh3_64(format!("dayhaul pair {tenant} {template}").as_bytes()).cast_signed()
}

/// Takes the locks of pairs for this session, and their leases for this run, as many as nobody else has. Tells of each pair
/// whether it is taken.
///
/// # Errors
/// The warehouse's.
pub async fn try_take(session: &Session, run: i64, pairs: &[PairNames<'_>]) -> Result<Vec<bool>> {
    let taken = try_lock(session, pairs).await?;
    let ours = pairs.iter().zip(&taken).filter(|(_, taken)| **taken);
    let ours: Vec<PairNames<'_>> = ours.map(|(pair, _)| *pair).collect();
    own(session, run, &ours).await?;
    Ok(taken)
}

async fn try_lock(session: &Session, pairs: &[PairNames<'_>]) -> Result<Vec<bool>> {
    let keys: Vec<i64> = pairs.iter().map(|(t, m)| key(t, m)).collect();
    let rows = session
        .query(
            "SELECT n, pg_try_advisory_lock(key) FROM unnest($1::bigint[]) WITH ORDINALITY AS pair (key, n)",
            &[&keys],
        )
        .await?;
    let mut taken = vec![false; pairs.len()];
    for row in &rows {
        let place = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
        if let Some(taken) = taken.get_mut(place) {
            *taken = row.get(1);
        }
    }
    Ok(taken)
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

/// Takes the locks of pairs, one after the other, and their leases, and waits where another session has a lock.
///
/// # Errors
/// The warehouse's.
pub async fn wait_and_take(session: &Session, run: i64, pairs: &[PairNames<'_>]) -> Result<()> {
    let (mut rest, mut waits) = (pairs, false);
    while !rest.is_empty() {
        let tried = if waits { &rest[..1] } else { rest };
        let taken = try_lock(session, tried).await?;
        let first = taken.iter().take_while(|taken| **taken).count();
        // Who waits holds no pair that comes later: two runs would wait for each other.
        let later = tried.iter().zip(&taken).skip(first);
        let later = later.filter(|(_, taken)| **taken).map(|(pair, _)| *pair);
        unlock(session, &later.collect::<Vec<_>>()).await?;
        own(session, run, &tried[..first]).await?;
        waits = first < tried.len();
        rest = &rest[first..];
        if waits {
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
    Ok(())
}

async fn unlock(session: &Session, pairs: &[PairNames<'_>]) -> Result<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = pairs.iter().map(|(t, m)| key(t, m)).collect();
    session
        .query(
            "SELECT pg_advisory_unlock(key) FROM unnest($1::bigint[]) AS pair (key)",
            &[&keys],
        )
        .await
        .map(drop)
}

/// The former owners' locks were released, or we would not have them. A former owner's run that has no recorded end died.
async fn own(session: &Session, run: i64, pairs: &[PairNames<'_>]) -> Result<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    let wh = session.catalog();
    let tenants: Vec<&str> = pairs.iter().map(|(tenant, _)| tenant.as_str()).collect();
    let templates: Vec<&str> = pairs
        .iter()
        .map(|(_, template)| template.as_str())
        .collect();
    session
        .execute(
            &format!(
                "WITH mine AS (SELECT * FROM unnest($1::text[], $2::text[]) AS mine (tenant, template)), \
                 died AS (UPDATE {wh}.run AS r SET outcome = 'died', ended_at = r.heartbeat_at \
                     WHERE r.id IN (SELECT former.run FROM {wh}.lease AS former JOIN mine USING (tenant, template)) \
                     AND r.id <> $3 AND r.ended_at IS NULL AND NOT {}) \
                 INSERT INTO {wh}.lease (tenant, template, run) SELECT tenant, template, $3 FROM mine \
                 ON CONFLICT (tenant, template) DO UPDATE SET run = excluded.run, taken_at = clock_timestamp()",
                run::holds_its_lock()
            ),
            &[&tenants, &templates, &run],
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
