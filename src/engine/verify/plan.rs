//! What to verify: each pair's loaded days, days that are not loaded, and rows that should not exist.

use super::checked::{Checked, Sides, Verdict};
use super::request::Verify;
use crate::catalog::Pair;
use crate::catalog::ledger::units;
use crate::catalog::registry::{fold_line, relations};
use crate::engine::schedule::pair_work::{PairWork, runs_of, source_number};
use crate::engine::schedule::task::QueueTask;
use crate::engine::window::template_versions::versions;
use crate::error::{Error, Kind, Result};
use crate::pg::{Access, Session};
use crate::template::Template;
use crate::unit::{Day, TemplateName, TenantName, Unit, Window};
use crate::warehouse::{self, Extra, Place, begin_reading};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A pair to verify, and its days.
pub struct VerifyPair {
    pub pair: Pair,
    /// How to reach the source; `None` when it is not read.
    pub access: Option<Access>,
    /// Days that are in the ledger.
    pub days: BTreeSet<Day>,
    /// Days that were requested and are not in the ledger.
    pub not_loaded: BTreeSet<Day>,
    /// Rows that should not exist.
    pub extra: BTreeMap<Day, Vec<Extra>>,
    versions: BTreeMap<String, Template>,
    /// Versions whose columns were compared with the source's.
    described: Mutex<BTreeSet<String>>,
    bytes_per_day: Option<u64>,
}

impl VerifyPair {
    /// Reads a pair's ledger and looks for rows that should not exist, both in one snapshot.
    ///
    /// # Errors
    /// A version that cannot be read; errors of the warehouse.
    pub async fn plan(session: &Session, pair: &Pair, request: &Verify) -> Result<VerifyPair> {
        begin_reading(session).await?;
        let planned = VerifyPair::read(session, pair, request).await;
        session
            .batch(if planned.is_ok() {
                "COMMIT"
            } else {
                "ROLLBACK"
            })
            .await?;
        planned
    }

    async fn read(session: &Session, pair: &Pair, request: &Verify) -> Result<VerifyPair> {
        let (tenant, template) = (&pair.tenant.name, &pair.template.name);
        let wanted = request.days.of(tenant, template);
        let within = request.days.within(tenant, template);
        let mut recorded = units::recorded(session, tenant, template, within).await?;
        // Days that are in files alone can only be verified against the files.
        let files = request.against.reads_files();
        recorded.retain(|day, recorded| wanted(*day) && (recorded.loaded || files));
        let place = Place {
            tenant,
            schema: &pair.tenant.schema,
            template: &pair.template,
        };
        let tables = relations::tables_there(session, tenant, template).await?;
        let line = fold_line::get(session, tenant, template).await?;
        let mut extra: BTreeMap<Day, Vec<Extra>> = BTreeMap::new();
        for found in
            warehouse::extra_rows(session, place, &tables, line, &recorded, &wanted).await?
        {
            extra.entry(found.day).or_default().push(found);
        }
        let used: BTreeSet<&str> = recorded.values().map(|r| r.version.as_str()).collect();
        let days: BTreeSet<Day> = recorded.keys().copied().collect();
        let not_loaded = within.map_or_else(BTreeSet::new, |within| {
            let missing = |day: &Day| wanted(*day) && !days.contains(day);
            within.days().filter(missing).collect()
        });
        let bytes: u64 = recorded.values().map(|r| r.tally.bytes).sum();
        Ok(VerifyPair {
            versions: versions(session, &pair.template, &used).await?,
            pair: pair.clone(),
            access: None,
            bytes_per_day: bytes.checked_div(days.len() as u64),
            not_loaded,
            days,
            extra,
            described: Mutex::default(),
        })
    }

    pub fn names(&self) -> (&TenantName, &TemplateName) {
        (&self.pair.tenant.name, &self.pair.template.name)
    }

    /// The template version that a day was loaded with.
    ///
    /// # Errors
    /// No day of the plan has this version.
    pub fn version(&self, version: &str) -> Result<&Template> {
        self.versions.get(version).ok_or_else(|| {
            Error::new(
                Kind::Data,
                format!("version `{version}` of the template is not in the catalog"),
            )
            .with_hint("if days were loaded during the verification, run it again")
        })
    }

    /// # Errors
    /// A placeholder of the query has no value.
    pub fn bind(&self, template: &Template, window: Window) -> Result<String> {
        template.bind(&self.pair.tenant.bindings(window))
    }

    /// Whether a version's columns were compared with the source's.
    pub fn is_described(&self, version: &str) -> bool {
        self.described().contains(version)
    }

    pub fn note_described(&self, version: &str) {
        self.described().insert(version.to_owned());
    }

    fn described(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.described
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The days of a window that are to be read.
    pub fn days_in(&self, window: Window) -> impl Iterator<Item = Day> {
        self.days.range(window.from..window.to).copied()
    }

    /// A unit's verdict before any of its rows was read. Rows that should not exist turn an otherwise good verdict into
    /// [`Verdict::Extra`].
    pub fn checked(&self, day: Day, verdict: Verdict) -> Checked {
        let extra = self.extra.get(&day).cloned().unwrap_or_default();
        let verdict = match verdict {
            Verdict::Ok | Verdict::NotLoaded if !extra.is_empty() => Verdict::Extra,
            verdict => verdict,
        };
        let unit = Unit {
            tenant: self.pair.tenant.name.clone(),
            template: self.pair.template.name.clone(),
            day,
        };
        Checked {
            unit,
            verdict,
            sides: Sides::default(),
            relation: None,
            version: None,
            extra,
            diff: None,
            object: None,
        }
    }

    pub fn not_loaded(&self, day: Day) -> Checked {
        self.checked(day, Verdict::NotLoaded)
    }

    /// This pair's work for the queue.
    pub fn work(&self) -> PairWork<VerifyTask> {
        let access = self.access.as_ref();
        PairWork {
            tenant: self.pair.tenant.name.to_string(),
            server: access.map_or_else(String::new, |access| access.url.endpoint()),
            source: source_number(&self.pair.tenant),
            runs: runs_of(self.days.iter().copied(), |day| VerifyTask {
                year: day.year(),
                reads_source: access.is_some(),
            }),
            builds: BTreeMap::new(),
            bytes_per_day: self.bytes_per_day,
            latest_first: false,
            one_day_windows: self.pair.one_day_windows()
                || self
                    .versions
                    .values()
                    .any(|version| version.one_day_windows),
            replaced_years: BTreeSet::new(),
        }
    }
}

/// Compares a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyTask {
    /// A window stays within a year, which is mostly one table.
    year: i32,
    reads_source: bool,
}

impl QueueTask for VerifyTask {
    fn reads_source(&self) -> bool {
        self.reads_source
    }

    fn streams(&self) -> bool {
        false
    }

    fn staged_year(&self) -> Option<i32> {
        None
    }
}
