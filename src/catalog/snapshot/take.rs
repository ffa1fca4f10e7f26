//! Reads a snapshot out of the catalog.

use super::document::{
    KeptPair, KeptSearchPath, KeptTemplate, KeptTenant, KeptUnit, KeptVersion, SCHEMA, Snapshot,
};
use super::fingerprint::Fingerprint;
use crate::catalog::finish;
use crate::catalog::registry::tenants::{self, Tenant};
use crate::error::Result;
use crate::pg::{Row, Session};
use crate::unit::Day;
use chrono::{DateTime, Utc};

/// Reads the whole catalog as of one moment.
///
/// # Errors
/// The warehouse's.
pub async fn take(session: &Session) -> Result<Snapshot> {
    session
        .batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    finish(session, read(session).await).await
}

async fn read(session: &Session) -> Result<Snapshot> {
    let wh = session.catalog();
    let pairs = pairs(session).await?;
    let mut content = Fingerprint::default();
    for pair in &pairs {
        for unit in &pair.units {
            let (rows, digest) = (unit.rows, &unit.digest);
            content.add(&pair.tenant, &pair.template, &unit.day, rows, digest);
        }
    }
    let last_run = session
        .query_one(&format!("SELECT coalesce(max(id), 0) FROM {wh}.run"), &[])
        .await?
        .get(0);
    let tenants = tenants::list(session).await?;
    Ok(Snapshot {
        schema: SCHEMA.to_owned(),
        id: content.id(),
        taken_at: Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        dayhaul: env!("CARGO_PKG_VERSION").to_owned(),
        last_run,
        tenants: tenants.into_iter().map(tenant).collect(),
        templates: templates(session).await?,
        pairs,
    })
}

fn tenant(tenant: Tenant) -> KeptTenant {
    KeptTenant {
        name: tenant.name.to_string(),
        schema_name: tenant.schema.to_string(),
        url: tenant.url,
        password: tenant.password,
        vars: tenant.vars,
        enabled: tenant.enabled,
        source_schema: tenant.source_schema,
        search_path: KeptSearchPath::of(&tenant.search_path),
    }
}

async fn templates(session: &Session) -> Result<Vec<KeptTemplate>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT name, version, source FROM {wh}.template ORDER BY name COLLATE \"C\""),
            &[],
        )
        .await?;
    let mut templates: Vec<KeptTemplate> = rows
        .iter()
        .map(|row| KeptTemplate {
            name: row.get(0),
            version: row.get(1),
            source: row.get(2),
            versions: Vec::new(),
        })
        .collect();
    let rows = session
        .query(
            &format!("SELECT template, version, source, loaded_at FROM {wh}.template_version ORDER BY loaded_at, version"),
            &[],
        )
        .await?;
    for row in &rows {
        let name: &str = row.get(0);
        if let Some(template) = templates.iter_mut().find(|t| t.name == name) {
            template.versions.push(KeptVersion {
                version: row.get(1),
                source: row.get(2),
                loaded_at: row.get::<_, DateTime<Utc>>(3).to_rfc3339(),
            });
        }
    }
    Ok(templates)
}

async fn pairs(session: &Session) -> Result<Vec<KeptPair>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT tenant, template, enabled, first_day, fold_line, windows, windows_version FROM {wh}.pair \
             ORDER BY tenant COLLATE \"C\", template COLLATE \"C\""
            ),
            &[],
        )
        .await?;
    let day = |row: &Row, i: usize| row.get::<_, Option<Day>>(i).map(|day| day.to_string());
    let mut pairs = Vec::with_capacity(rows.len());
    for row in &rows {
        let (tenant, template): (String, String) = (row.get(0), row.get(1));
        let units = session
            .query(
                &format!(
                    "SELECT day, rows, bytes, digest, version, state = 'loaded', \
                            CASE WHEN object_digest = digest THEN object END, checked_on FROM {wh}.unit \
                     WHERE state IN ('loaded', 'landed') AND digest IS NOT NULL \
                       AND tenant = $1 AND template = $2 ORDER BY day"
                ),
                &[&tenant, &template],
            )
            .await?;
        pairs.push(KeptPair {
            enabled: row.get(2),
            first_day: day(row, 3),
            fold_line: day(row, 4),
            windows: row.get(5),
            windows_version: row.get(6),
            units: units.iter().map(unit).collect(),
            tenant,
            template,
        });
    }
    Ok(pairs)
}

fn unit(row: &Row) -> KeptUnit {
    let unsigned = |i| u64::try_from(row.get::<_, i64>(i)).unwrap_or(0);
    KeptUnit {
        day: row.get::<_, Day>(0).to_string(),
        rows: unsigned(1),
        bytes: unsigned(2),
        digest: row.get(3),
        version: row.get(4),
        loaded: row.get(5),
        object: row.get(6),
        checked_on: row.get::<_, Option<Day>>(7).map(|day| day.to_string()),
    }
}
