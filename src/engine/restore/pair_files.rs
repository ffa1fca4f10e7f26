//! The files of one pair, and which of them turned out bad.

use super::day_file::DayFile;
use super::fit::Fit;
use super::{Restoring, Wanted};
use crate::catalog::Pair;
use crate::catalog::snapshot::Known;
use crate::error::{At, Error, Kind, Result};
use crate::landing::{Footer, Landing, ObjectPath};
use crate::template::Template;
use crate::unit::{Day, SchemaName, TemplateName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The files of a pair. Shared by its workers.
pub struct PairFiles {
    restoring: Arc<Restoring>,
    template: Arc<Template>,
    schema: SchemaName,
    pub wanted: Wanted,
    known: BTreeMap<Day, Known>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Places whose file of a day is not to be used, and why.
    bad: BTreeMap<Day, BTreeMap<usize, Error>>,
    /// Places that did not answer once: they are asked last.
    silent: BTreeSet<usize>,
    /// Versions of the template that files were written with.
    fits: HashMap<String, Arc<Fit>>,
    /// Versions that the catalog knows.
    registered: BTreeSet<String>,
    /// What was said already.
    said: BTreeSet<String>,
}

impl PairFiles {
    pub fn new(restoring: Arc<Restoring>, pair: &Pair) -> Result<PairFiles> {
        let known = match &restoring.snapshot {
            Some(snapshot) => snapshot.units(&pair.tenant.name, &pair.template.name)?,
            None => BTreeMap::new(),
        };
        Ok(PairFiles {
            wanted: restoring.wanted(pair)?,
            template: Arc::clone(&pair.template),
            schema: pair.tenant.schema.clone(),
            known,
            state: Mutex::default(),
            restoring,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn template(&self) -> &Template {
        &self.template
    }

    fn name(&self) -> &TemplateName {
        &self.template.name
    }

    /// Whether a place is where the warehouse itself lands.
    pub fn is_home(&self, place: usize) -> bool {
        self.restoring.home == Some(place)
    }

    /// Why a day that should have a file has none.
    pub fn lacking(&self) -> Error {
        let places: Vec<&str> = self.restoring.places.iter().map(Landing::url).collect();
        let error = Error::new(
            Kind::Io,
            format!("no file of it lies under {}", places.join(" or ")),
        );
        error.with_hint("load these days from their source with `dayhaul backfill`, or name another place with `--from`")
    }

    /// Whether another place has a file of the day that is not known to be bad.
    pub fn has_another(&self, day: Day) -> bool {
        self.candidates(day).next().is_some()
    }

    fn candidates(&self, day: Day) -> impl Iterator<Item = usize> + use<> {
        let state = self.state();
        let bad = state.bad.get(&day);
        let places = self
            .restoring
            .found
            .days_of(self.name(), &self.schema)
            .and_then(|days| days.get(&day));
        let mut good: Vec<usize> = places
            .into_iter()
            .flatten()
            .copied()
            .filter(|place| bad.is_none_or(|bad| !bad.contains_key(place)))
            .collect();
        good.sort_by_key(|place| state.silent.contains(place));
        good.into_iter()
    }

    /// A file is not to be used any more.
    pub fn set_aside(&self, day: Day, place: usize, why: Error) {
        tracing::debug!(%day, error = %why, "a file is set aside");
        self.state().bad.entry(day).or_default().insert(place, why);
    }

    /// Why no place had a good file of the day: the preferred place's error, and what the others said.
    pub fn why_none(&self, day: Day) -> Error {
        let reasons = self.state().bad.remove(&day).unwrap_or_default();
        let mut reasons = reasons.into_values();
        let Some(first) = reasons.next() else {
            return self.lacking();
        };
        let others: Vec<String> = reasons.map(|e| e.to_string()).collect();
        if others.is_empty() {
            return first;
        }
        let mut error = Error::new(first.kind(), format!("{first}; {}", others.join("; ")));
        if let Some(hint) = first.hint() {
            error = error.with_hint(hint.to_owned());
        }
        error
    }

    /// Opens the first good file of a day. A file that is not what it should be is set aside; a place that does not answer,
    /// though it was asked again and again, is passed over.
    ///
    /// # Errors
    /// Transient when a place that may have the file did not answer; the reasons when no place has a good one.
    pub async fn open(&self, day: Day) -> Result<DayFile> {
        let mut silent = None;
        for place in self.candidates(day) {
            match self.open_at(place, day).await {
                Ok(file) => return Ok(file),
                Err(error) if error.is_transient() => {
                    if self.state().silent.insert(place) {
                        let url = self.restoring.places[place].url();
                        tracing::warn!(%error, "`{url}` does not answer; any other place is asked first from now on");
                    }
                    silent = silent.or(Some(error));
                }
                Err(error) => self.set_aside(day, place, error),
            }
        }
        Err(silent.unwrap_or_else(|| self.why_none(day)))
    }

    async fn open_at(&self, place: usize, day: Day) -> Result<DayFile> {
        let object = ObjectPath {
            template: self.name().clone(),
            schema: self.schema.clone(),
            day,
        };
        let landing = &self.restoring.places[place];
        let file = landing.open_file(&object).await?.ok_or_else(|| {
            Error::new(Kind::Io, format!("`{}` is gone", landing.url_of(&object)))
        })?;
        let at = || format!("`{}`", file.url());
        self.check_known(day, file.footer()).at(at)?;
        let fit = self.fit(file.footer()).at(at)?;
        DayFile::new(file, place, fit, &self.template)
    }

    /// A file that is older than the snapshot must hold what the snapshot's ledger says.
    fn check_known(&self, day: Day, footer: &Footer) -> Result<()> {
        let Some(snapshot) = &self.restoring.snapshot else {
            return Ok(());
        };
        let known = self.known.get(&day);
        let same = |known: &Known| known.rows == footer.rows && is_digest(known, footer);
        if footer.run > snapshot.last_run || known.is_some_and(same) {
            return Ok(());
        }
        let error = match known {
            Some(known) => Error::new(
                Kind::Data,
                format!(
                    "it holds {} rows with digest {}; the ledger of snapshot {} has {} rows with digest {}",
                    footer.rows, footer.digest, snapshot.id, known.rows, known.digest
                ),
            ),
            // It was given up, or its pair was dropped, before the snapshot was taken.
            None => Error::new(
                Kind::Data,
                format!(
                    "the ledger of snapshot {} does not have this day",
                    snapshot.id
                ),
            ),
        };
        Err(error.with_hint(
            "an older copy lies here: name a place with the latest files first, or add `--no-snapshot` to take the files as they are",
        ))
    }

    /// How the columns of the file's template fit, worked out once a version.
    fn fit(&self, footer: &Footer) -> Result<Arc<Fit>> {
        let origin = &footer.origin;
        if let Some(fit) = self.state().fits.get(&origin.version)
            && fit.written.source == origin.template_source
        {
            return Ok(Arc::clone(fit));
        }
        let written = Template::parse(origin.template.clone(), &origin.template_source)
            .at(|| "the template in its footer".to_owned())?;
        if written.version() != origin.version {
            return Err(Error::new(
                Kind::Data,
                format!(
                    "its footer says template version {}, but holds the text of version {}",
                    origin.version,
                    written.version()
                ),
            ));
        }
        let fit = Arc::new(Fit::new(written, &self.template)?);
        let version = origin.version.clone();
        self.state().fits.insert(version, Arc::clone(&fit));
        Ok(fit)
    }

    /// Whether the catalog is still to be told of a version. The first who asks tells it.
    pub fn is_new_version(&self, version: &str) -> bool {
        version != self.template.version() && self.state().registered.insert(version.to_owned())
    }

    /// Whether something is to be said: it was not yet.
    pub fn says_first(&self, what: &str) -> bool {
        self.state().said.insert(what.to_owned())
    }
}

/// The ledger of a restored warehouse holds the digest of the rows as the file gave them back.
fn is_digest(known: &Known, footer: &Footer) -> bool {
    let known = &known.digest;
    *known == footer.digest.to_string() || *known == footer.digest_of_rows().to_string()
}
