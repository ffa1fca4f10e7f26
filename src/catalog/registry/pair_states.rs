//! What the catalog knows of pairs, asked once for all pairs of a run.

use super::fold_line::FoldLine;
use crate::catalog::by_pair::{columns, put};
use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, PairNames};
use chrono::{DateTime, Utc};

/// What the catalog knows of a pair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairState {
    /// `None` when it was never loaded.
    pub line: Option<FoldLine>,
    pub first_day: Option<Day>,
    /// Whether days of it are in staging tables.
    pub has_staged: bool,
    /// Of the latest days, when there are any.
    pub bytes_per_day: Option<u64>,
    /// When its latest day was last loaded or compared.
    pub compared_at: Option<DateTime<Utc>>,
}

/// SQL: the mean bytes of the latest days of pair `p`.
const BYTES_PER_DAY: &str = "SELECT avg(bytes)::bigint FROM (SELECT bytes FROM {wh}.unit u \
    WHERE u.tenant = p.tenant AND u.template = p.template AND u.state IN ('loaded', 'landed') AND u.rows > 0 \
    ORDER BY u.day DESC LIMIT 30) AS latest";

/// SQL: when the latest day of pair `p` was compared.
const COMPARED_AT: &str = "SELECT u.checked_at FROM {wh}.unit u \
    WHERE u.tenant = p.tenant AND u.template = p.template AND u.checked_at IS NOT NULL \
    ORDER BY u.day DESC LIMIT 1";

/// Of each pair, in their order.
///
/// # Errors
/// The warehouse's.
pub async fn of_pairs(session: &Session, pairs: &[PairNames<'_>]) -> Result<Vec<PairState>> {
    let wh = session.catalog();
    let (tenants, templates) = columns(pairs);
    let rows = session
        .query(
            &format!(
                "SELECT t.n, p.fold_line, p.hides, p.first_day, EXISTS \
                   (SELECT FROM {wh}.staged s WHERE s.tenant = p.tenant AND s.template = p.template), ({}), ({}) \
                 FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t (tenant, template, n) \
                 JOIN {wh}.pair p USING (tenant, template)",
                BYTES_PER_DAY.replace("{wh}", wh),
                COMPARED_AT.replace("{wh}", wh)
            ),
            &[&tenants, &templates],
        )
        .await?;
    let mut states = vec![PairState::default(); pairs.len()];
    for row in &rows {
        let line: Option<Day> = row.get(1);
        let bytes: Option<i64> = row.get(5);
        let state = PairState {
            line: line.map(|day| FoldLine {
                day,
                hides: row.get(2),
            }),
            first_day: row.get(3),
            has_staged: row.get(4),
            bytes_per_day: bytes.and_then(|n| u64::try_from(n).ok()),
            compared_at: row.get(6),
        };
        put(&mut states, row.get(0), state);
    }
    Ok(states)
}
