//! Rows that stand twice when a load is through: their time moved after one of their days was fetched, and before the other
//! was. A refresh looks each new key up; for a load of millions of rows one question at its end is cheaper.

use super::Run;
use super::pair::ReadyPair;
use super::shared::{Shared, lock};
use crate::error::Result;
use crate::unit::Day;
use crate::warehouse;
use std::collections::BTreeSet;

impl Run<'_> {
    /// Lets the days of such rows wait, to be brought up together after the others.
    pub async fn look_for_doubled_rows(&self, shared: &Shared) {
        let loaded = std::mem::take(&mut lock(&shared.outcomes).loaded_tables);
        for (index, tables) in loaded {
            let pair = &shared.pairs[index];
            if shared.stop.is_cancelled() || !pair.has_tenant() || shared.queue().is_down(index) {
                continue;
            }
            match self.doubled_days(pair, &tables).await {
                Ok(days) => lock(&pair.waiting).extend(days),
                Err(error) => {
                    let error = error.at("looking for rows that stand on two days");
                    shared.add_failure(index, Vec::new(), error, false);
                }
            }
        }
    }

    async fn doubled_days(
        &self,
        pair: &ReadyPair,
        loaded: &BTreeSet<String>,
    ) -> Result<BTreeSet<Day>> {
        let owner = &self.settings.warehouse.owner_role;
        let session = warehouse::open_session(self.access, owner).await?;
        tokio::select! {
            days = warehouse::days_with_shared_keys(&session, pair.place(), loaded) => return days,
            () = self.cancel.cancelled() => {}
        }
        session.abort().await;
        Ok(BTreeSet::new())
    }
}
