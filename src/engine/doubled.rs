//! Rows that stand twice when a load is through: their time moved after one of their days was fetched, and before the other
//! was. A refresh looks each new key up; for a load of millions of rows one question at its end is cheaper.

use super::run::Run;
use super::shared::{Shared, lock};
use crate::error::Result;
use crate::unit::Day;
use crate::warehouse;
use std::collections::BTreeSet;

impl Run<'_> {
    /// Lets the days of such rows wait, to be brought up together after the others.
    pub(super) async fn look_for_doubled_rows(&self, shared: &Shared) {
        let loaded = std::mem::take(&mut lock(&shared.outcomes).loaded_tables);
        for (index, tables) in loaded {
            let pair = &shared.pairs[index];
            if shared.stop.is_cancelled() || !pair.has_tenant() || shared.queue().is_down(index) {
                continue;
            }
            let owner = &self.settings.warehouse.owner_role;
            let look = async {
                let session = warehouse::open_session(self.access, owner).await?;
                let days = tokio::select! {
                    days = warehouse::days_with_shared_keys(&session, pair.place(), &tables) => Some(days),
                    () = self.cancel.cancelled() => None,
                };
                match days {
                    Some(days) => days,
                    None => {
                        session.abort().await;
                        Ok(BTreeSet::new())
                    }
                }
            };
            let days: Result<BTreeSet<Day>> = look.await;
            match days {
                Ok(days) => lock(&pair.waiting).extend(days),
                Err(error) => {
                    let error = error.at("looking for rows that stand on two days");
                    shared.add_failure(index, Vec::new(), error, false);
                }
            }
        }
    }
}
