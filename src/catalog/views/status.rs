//! The state of the pairs: how much of each is in the warehouse, how much is in files, what failed.

use crate::catalog::ledger::day_ranges::AskedPair;
use crate::catalog::ledger::summary::{self, DaySummary, Units, expected_days};
use crate::catalog::registry::pairs::ParsedTemplates;
use crate::catalog::registry::tenants::{Selection, check_selection};
use crate::catalog::{finish, snapshot::Fingerprint};
use crate::error::Result;
use crate::pg::{Row, Session};
use crate::template::Template;
use crate::unit::{Day, TemplateName, TenantName, Window};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// What the ledger records about one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairStanding {
    pub tenant: TenantName,
    pub template: Arc<Template>,
    /// The pair and its tenant.
    pub enabled: bool,
    /// The earliest day ever asked for.
    pub first_day: Option<Day>,
    pub fold_line: Option<Day>,
    /// A disabled pair misses no days, and none is overdue.
    pub days: DaySummary,
    pub last_run: Option<LastRun>,
}

/// The run that wrote last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    pub id: i64,
    pub command: String,
    /// `running`, `died`, or how it ended for this pair: a run may fail because of others.
    pub outcome: String,
    pub at: DateTime<Utc>,
}

impl LastRun {
    /// It did not end as it should, and nobody asked it to end.
    pub fn is_bad(&self) -> bool {
        matches!(self.outcome.as_str(), "failed" | "died")
    }
}

impl PairStanding {
    /// It is enabled, and no day of it is anywhere.
    pub fn was_never_loaded(&self) -> bool {
        self.enabled && self.days.loaded == 0 && self.days.landed == 0
    }
}

/// The pairs of a selection, enabled or not, by tenant and template; of their days those of `days`, as they are on the date
/// `today`.
///
/// # Errors
/// The selection names what is unknown; the warehouse's.
pub async fn standing(
    session: &Session,
    selection: &Selection,
    days: Option<Window>,
    today: Day,
) -> Result<Vec<PairStanding>> {
    check_selection(session, selection).await?;
    let mut pairs = selected(session, selection).await?;
    let asked = pairs.iter().map(|pair| AskedPair {
        tenant: &pair.tenant,
        template: &pair.template,
        days: expected_days(pair.first_day, days, today).filter(|_| pair.enabled),
    });
    let asked: Vec<AskedPair<'_>> = asked.collect();
    let found = summary::of_pairs(session, &asked, Units::All(days), today).await?;
    for (pair, days) in pairs.iter_mut().zip(found) {
        pair.days = days;
        if !pair.enabled {
            pair.days.overdue_days.clear();
        }
    }
    Ok(pairs)
}

async fn selected(session: &Session, selection: &Selection) -> Result<Vec<PairStanding>> {
    let wh = session.catalog();
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|n| (*n).to_owned())
            .collect::<Vec<String>>()
    };
    let tenants: Vec<&str> = selection.tenants.iter().map(TenantName::as_str).collect();
    let templates: Vec<&str> = selection
        .templates
        .iter()
        .map(TemplateName::as_str)
        .collect();
    let rows = session
        .query(
            &format!(
                "SELECT p.tenant, p.template, p.enabled AND t.enabled, p.first_day, p.fold_line, \
                        r.id, r.command, {}, coalesce(r.ended_at, r.heartbeat_at), x.source \
                 FROM {wh}.pair p JOIN {wh}.tenant t ON t.name = p.tenant \
                 JOIN {wh}.template x ON x.name = p.template \
                 LEFT JOIN {wh}.lease l ON l.tenant = p.tenant AND l.template = p.template \
                 LEFT JOIN {wh}.run r ON r.id = l.run \
                 WHERE (cardinality($1::text[]) = 0 OR p.tenant = ANY ($1)) \
                   AND (cardinality($2::text[]) = 0 OR p.template = ANY ($2)) \
                 ORDER BY p.tenant COLLATE \"C\", p.template COLLATE \"C\"",
                outcome_of_pair()
            ),
            &[&names(&tenants), &names(&templates)],
        )
        .await?;
    let mut parsed = ParsedTemplates::default();
    rows.iter().map(|row| pair_of(row, &mut parsed)).collect()
}

/// SQL: how run `r` ended for the pair `p`.
fn outcome_of_pair() -> String {
    format!(
        "CASE WHEN r.outcome = 'failed' AND NOT EXISTS (SELECT FROM jsonb_array_elements(r.failures) AS f \
             WHERE f ->> 'tenant' = p.tenant AND coalesce(f ->> 'template', p.template) = p.template) \
         THEN 'done' ELSE {} END",
        crate::catalog::runs::run::outcome()
    )
}

fn pair_of(row: &Row, parsed: &mut ParsedTemplates) -> Result<PairStanding> {
    let day = |i: usize| row.get::<_, Option<Day>>(i);
    let last_run = row.get::<_, Option<i64>>(5).map(|id| LastRun {
        id,
        command: row.get(6),
        outcome: row.get(7),
        at: row.get(8),
    });
    Ok(PairStanding {
        tenant: TenantName::parse(row.get(0))?,
        template: parsed.get(row.get(1), row.get(9))?,
        enabled: row.get(2),
        first_day: day(3),
        fold_line: day(4),
        days: DaySummary::default(),
        last_run,
    })
}

/// The fingerprint of everything that the ledger has, as a snapshot taken now would have it. Reads every digest, a few pairs
/// at a time.
///
/// # Errors
/// The warehouse's.
pub async fn content(session: &Session) -> Result<String> {
    session
        .batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    finish(session, read_content(session).await).await
}

/// The pairs whose lines are asked for at once.
const PAIRS_AT_ONCE: usize = 16;

async fn read_content(session: &Session) -> Result<String> {
    let wh = session.catalog();
    let pairs = session
        .query(
            &format!("SELECT tenant, template FROM {wh}.pair ORDER BY tenant COLLATE \"C\", template COLLATE \"C\""),
            &[],
        )
        .await?;
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut content = Fingerprint::default();
    for pairs in pairs.chunks(PAIRS_AT_ONCE) {
        let (tenants, templates): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
        let rows = session
            .query(
                &format!(
                    "SELECT u.lines FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS p (tenant, template, n) \
                     CROSS JOIN LATERAL (SELECT string_agg(concat_ws(' ', p.tenant, p.template, day, rows, digest) || E'\\n', \
                            '' ORDER BY day) AS lines FROM {wh}.unit u \
                         WHERE u.tenant = p.tenant AND u.template = p.template \
                           AND u.state IN ('loaded', 'landed') AND u.digest IS NOT NULL) u ORDER BY p.n"
                ),
                &[&tenants, &templates],
            )
            .await?;
        for lines in rows.iter().filter_map(|row| row.get::<_, Option<&str>>(0)) {
            content.add_lines(lines);
        }
    }
    Ok(content.id())
}
