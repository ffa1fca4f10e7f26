//! A pair of a run: planned at first, prepared when a worker comes to it.

use super::pair::{PairDays, PairProgress, PreparedPair, RowSource};
use super::prepare::PlannedPair;
use super::request::Request;
use crate::catalog::registry::fold_line::FoldLine;
use crate::engine::schedule::queue::{PairWork, source_number};
use crate::engine::schedule::task::Task;
use crate::engine::window::landing::Landed;
use crate::pg::Url;
use crate::unit::{Day, Window};
use crate::warehouse::Shape;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A pair of a run. Until a worker has prepared it, it looks like a pair without any day to work on.
pub struct RunPair {
    planned: Mutex<Option<PlannedPair>>,
    /// The days that the plan has for it.
    days: BTreeSet<Day>,
    without_days: PreparedPair,
    prepared: OnceLock<PreparedPair>,
}

impl RunPair {
    pub fn new(planned: PlannedPair, today: Day) -> RunPair {
        let nowhere = FoldLine {
            day: today,
            hides: false,
        };
        RunPair {
            days: planned.days.to_do(),
            without_days: PreparedPair {
                pair: planned.pair.clone(),
                source: RowSource::Nobody,
                days: PairDays::default(),
                files_only: false,
                bytes_per_day: None,
                state: PairProgress::new(Shape::new(nowhere, &[]), Landed::default()),
            },
            planned: Mutex::new(Some(planned)),
            prepared: OnceLock::new(),
        }
    }

    /// As it is now.
    pub fn now(&self) -> &PreparedPair {
        self.prepared.get().unwrap_or(&self.without_days)
    }

    /// The plan, once.
    pub fn take_planned(&self) -> Option<PlannedPair> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.take()
    }

    /// Keeps a plan for the next try.
    pub fn put_back(&self, plan: PlannedPair) {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        *planned = Some(plan);
    }

    /// The pair is ready.
    pub fn prepared(&self, pair: PreparedPair) -> &PreparedPair {
        self.prepared.get_or_init(|| pair)
    }

    pub fn is_prepared(&self) -> bool {
        self.prepared.get().is_some()
    }

    /// The days that the plan has for a pair that was not prepared.
    pub fn not_prepared(&self) -> Option<&BTreeSet<Day>> {
        (!self.is_prepared()).then_some(&self.days)
    }

    /// How many days the plan has for it.
    pub fn planned_days(&self) -> usize {
        self.days.len()
    }

    /// The queue's share of the pair before it is prepared.
    pub fn first_work(&self, request: &Request, today: Day, at_source: bool) -> PairWork<Task> {
        let window = Window::single(request.probe(today));
        PairWork {
            runs: VecDeque::from([(Task::Prepare { at_source }, window)]),
            ..self.work_of_nothing()
        }
    }

    /// The queue's share of a pair with which nothing is to be done.
    pub fn work_of_nothing(&self) -> PairWork<Task> {
        let tenant = &self.now().pair.tenant;
        let server = tenant
            .url
            .as_deref()
            .map(|url| Url::parse(url).map(|url| url.endpoint()));
        PairWork {
            tenant: tenant.name.to_string(),
            server: match server {
                Some(Ok(endpoint)) => endpoint,
                _ => tenant.name.to_string(),
            },
            source: source_number(tenant),
            runs: VecDeque::new(),
            builds: BTreeMap::new(),
            bytes_per_day: None,
            latest_first: false,
            one_day_windows: true,
            replaced_years: BTreeSet::new(),
        }
    }
}
