//! Rows that are in two days after a load: their time moved after one of their days was fetched, and before the
//! other was. A refresh looks each new key up; for a load of millions of rows one query at its end is cheaper.

use super::context::RunContext;
use super::pair::PreparedPair;
use super::state::RunState;
use crate::error::Result;
use crate::unit::Day;
use crate::warehouse::{self, FreshTables};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the warehouse gets to cancel the query of an interrupted run.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// Lets the days of such rows wait, to be refreshed together after the others.
pub async fn find_duplicates(run: &RunState) {
    let unchecked = std::mem::take(&mut run.outcomes.lock().unchecked_tables);
    for (index, tables) in unchecked {
        let pair = run.pair(index);
        let is_down = || run.pool.queue().is_down(index);
        if run.pool.stopped().is_cancelled() || !pair.has_tenant() || is_down() {
            continue;
        }
        match days_with_duplicates(&run.context, pair, &tables).await {
            Ok(days) => pair.state.let_wait(days),
            Err(error) => {
                let error = error.at("looking for rows that are in two days");
                run.outcomes
                    .add_failure(&pair.pair, Vec::new(), error, false);
            }
        }
    }
}

async fn days_with_duplicates(
    context: &RunContext,
    pair: &PreparedPair,
    loaded: &FreshTables,
) -> Result<BTreeSet<Day>> {
    let open = context.warehouse_context().open_session();
    let session = tokio::select! {
        session = open => session?,
        () = context.cancel.cancelled() => return Ok(BTreeSet::new()),
    };
    tokio::select! {
        days = warehouse::days_with_shared_keys(&session, pair.place(), loaded) => return days,
        () = context.cancel.cancelled() => {}
    }
    // A server that does not answer notices the closed connection by itself.
    let _ = tokio::time::timeout(CANCEL_TIMEOUT, session.abort()).await;
    Ok(BTreeSet::new())
}
