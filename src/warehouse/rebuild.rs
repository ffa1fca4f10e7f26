//! What a rebuild needs beyond the build of a new year: what an earlier try staged too long ago, tables that are lost,
//! and year tables whose place another took.

use super::Place;
use super::in_window;
use super::tables::staging_table;
use super::transaction::{about_locks, patient_transaction, short_transaction};
use crate::catalog::relations::{self, RelationKind};
use crate::catalog::{lease, staged};
use crate::error::Result;
use crate::pg::Session;
use crate::sql::qualified;
use crate::unit::Window;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long one try to drop a retired table may wait for readers; the next run tries again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Deletes from the staging tables of `years` the days that were written in their published year since they were staged,
/// or staged with another version of the template: an interrupted rebuild would bring the older rows back.
///
/// # Errors
/// The warehouse's.
pub async fn drop_stale_days(
    session: &Session,
    place: Place<'_>,
    years: &BTreeSet<i32>,
    run: i64,
    lock_timeout: Duration,
) -> Result<()> {
    let (tenant, template) = (place.tenant, place.template);
    let stale = staged::stale(session, tenant, &template.name, template.version()).await?;
    for day in stale.into_iter().filter(|day| years.contains(&day.year())) {
        let staging = staging_table(&template.name, day.year());
        short_transaction(session, lock_timeout, async || {
            lease::check(session, run, tenant, &template.name).await?;
            staged::forget(session, tenant, &template.name, [day]).await?;
            session
                .batch(&format!(
                    "DELETE FROM {} WHERE {}",
                    qualified(place.schema.as_str(), &staging),
                    in_window(template, Window::single(day)),
                ))
                .await
        })
        .await?;
    }
    Ok(())
}

/// Drops the tables whose place others took, those that no reader holds. Gives those that stay for the next run.
///
/// # Errors
/// The warehouse's, except about locks.
pub async fn drop_retired(
    session: &Session,
    place: Place<'_>,
    run: i64,
    lock_timeout: Duration,
) -> Result<Vec<String>> {
    let schema = place.schema.as_str();
    let owned = relations::of_pair(session, place.tenant, &place.template.name).await?;
    let mut left = Vec::new();
    for relation in owned.iter().filter(|r| r.kind == RelationKind::Retired) {
        let dropped = patient_transaction(session, lock_timeout, PATIENCE, None, async || {
            lease::check(session, run, place.tenant, &place.template.name).await?;
            relations::remove(session, schema, std::slice::from_ref(&relation.name)).await?;
            session
                .batch(&format!("DROP TABLE {}", qualified(schema, &relation.name)))
                .await
        })
        .await;
        match dropped {
            Ok(()) => {}
            Err(error) if about_locks(&error) => {
                left.push(relation.name.clone());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(left)
}
