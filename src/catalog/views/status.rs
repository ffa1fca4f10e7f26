//! The state of the pairs: how much of each is in the warehouse, how much is in files, what failed.

use crate::catalog::registry::pairs::ParsedTemplates;
use crate::catalog::registry::tenants::{Selection, check_selection};
use crate::catalog::snapshot::Fingerprint;
use crate::error::Result;
use crate::pg::{Row, Session};
use crate::template::Template;
use crate::unit::{Day, TemplateName, TenantName, Window};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Days in the warehouse.
    pub loaded: BTreeSet<Day>,
    /// Days with a file that holds the rows of the ledger.
    pub landed: BTreeSet<Day>,
    /// Days whose latest try failed, and that are nowhere.
    pub failed: BTreeSet<Day>,
    /// Days with rows that are not settled, with the date of their latest comparison with the source.
    pub unsettled: BTreeMap<Day, Option<Day>>,
    pub rows: u64,
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
        self.enabled && self.loaded.is_empty() && self.landed.is_empty()
    }

    /// Unsettled days that a daily `sync` would have compared again by `today`.
    pub fn overdue(&self, today: Day) -> Vec<Window> {
        let overdue =
            |(day, on): &(&Day, &Option<Day>)| self.template.is_overdue(**day, **on, today);
        Window::runs(self.unsettled.iter().filter(overdue).map(|(day, _)| *day))
    }

    /// Runs of days that should be there by `today`, and are neither in the warehouse, nor a file, nor failed.
    pub fn missing(&self, days: Option<Window>, today: Day) -> Vec<Window> {
        let Some(first) = self.first_day else {
            return Vec::new();
        };
        let from = days.map_or(first, |days| days.from.max(first));
        let to = days.map_or(today, |days| days.to.min(today));
        if from >= to {
            return Vec::new();
        }
        let there = |day: &Day| {
            [&self.loaded, &self.landed, &self.failed]
                .iter()
                .any(|days| days.contains(day))
        };
        Window::runs(Window::new(from, to).days().filter(|day| !there(day)))
    }
}

/// The pairs of a selection, enabled or not, by tenant and template; of their days those of `days`.
///
/// # Errors
/// The selection names what is unknown; the warehouse's.
pub async fn standing(
    session: &Session,
    selection: &Selection,
    days: Option<Window>,
) -> Result<Vec<PairStanding>> {
    let wh = session.catalog();
    check_selection(session, selection).await?;
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
    let mut pairs = Vec::with_capacity(rows.len());
    let mut parsed = ParsedTemplates::default();
    for row in &rows {
        let mut pair = pair_of(row, &mut parsed)?;
        add_days(session, &mut pair, days).await?;
        pairs.push(pair);
    }
    Ok(pairs)
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
        loaded: BTreeSet::new(),
        landed: BTreeSet::new(),
        failed: BTreeSet::new(),
        unsettled: BTreeMap::new(),
        rows: 0,
        last_run,
    })
}

async fn add_days(session: &Session, pair: &mut PairStanding, days: Option<Window>) -> Result<()> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!("SELECT day, state, coalesce(object IS NOT NULL AND object_digest = digest, false), rows, checked_on FROM {wh}.unit \
             WHERE tenant = $1 AND template = $2 \
               AND day >= coalesce($3::date, '-infinity') AND day < coalesce($4::date, 'infinity')"),
            &[
                &pair.tenant,
                &pair.template.name,
                &days.map(|w| w.from),
                &days.map(|w| w.to),
            ],
        )
        .await?;
    for row in &rows {
        let day = row.get::<_, Day>(0);
        let (state, landed): (&str, bool) = (row.get(1), row.get(2));
        if landed {
            pair.landed.insert(day);
        }
        let checked_on: Option<Day> = row.get(4);
        if state != "failed" && !pair.template.is_settled(day, checked_on) {
            pair.unsettled.insert(day, checked_on);
        }
        match state {
            "loaded" => {
                pair.loaded.insert(day);
                pair.rows += u64::try_from(row.get::<_, i64>(3)).unwrap_or(0);
            }
            "failed" => {
                pair.failed.insert(day);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The fingerprint of everything that the ledger has, as a snapshot taken now would have it.
///
/// # Errors
/// The warehouse's.
pub async fn content(session: &Session) -> Result<String> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT tenant, template, day, rows, digest FROM {wh}.unit \
             WHERE state IN ('loaded', 'landed') AND digest IS NOT NULL \
             ORDER BY tenant COLLATE \"C\", template COLLATE \"C\", day"
            ),
            &[],
        )
        .await?;
    let mut content = Fingerprint::default();
    for row in &rows {
        let day = row.get::<_, Day>(2).to_string();
        let rows = u64::try_from(row.get::<_, i64>(3)).unwrap_or(0);
        content.add(row.get(0), row.get(1), &day, rows, row.get(4));
    }
    Ok(content.id())
}
