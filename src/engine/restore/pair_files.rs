//! The files of one pair: which are used, and which were set aside as bad.

use super::column_mapping::ColumnMapping;
use super::day_file::DayFile;
use super::find::urls;
use super::plan::{RestoreDays, Restoring};
use super::remarks::FileRemark;
use crate::catalog::Pair;
use crate::catalog::snapshot::{Snapshot, SnapshotUnit as Known};
use crate::error::{At, Error, Kind, Result};
use crate::landing::{Footer, ObjectPath};
use crate::template::Template;
use crate::unit::{Day, SchemaName, TemplateName, TenantName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The files of a pair. Shared by its workers.
pub struct PairFiles {
    restoring: Arc<Restoring>,
    template: Arc<Template>,
    tenant: TenantName,
    schema: SchemaName,
    pub wanted: RestoreDays,
    /// The snapshot's ledger.
    known: BTreeMap<Day, Known>,
    state: Mutex<PairFilesState>,
}

#[derive(Default)]
struct PairFilesState {
    /// The places whose file of a day is bad, and why.
    bad: BTreeMap<Day, BTreeMap<usize, Error>>,
    /// Places that stopped responding: they are tried last.
    unresponsive: BTreeSet<usize>,
    /// By template version of the files.
    columns: HashMap<String, Arc<ColumnMapping>>,
    /// Template versions that were added to the catalog.
    registered: BTreeSet<String>,
    /// Notes that were reported.
    noted: BTreeSet<String>,
}

impl Restoring {
    /// The files of a pair, for its workers.
    ///
    /// # Errors
    /// As [`Restoring::wanted`].
    pub fn files(self: &Arc<Self>, pair: &Pair) -> Result<PairFiles> {
        PairFiles::new(Arc::clone(self), pair)
    }
}

impl PairFiles {
    fn new(restoring: Arc<Restoring>, pair: &Pair) -> Result<PairFiles> {
        let known = match &restoring.snapshot {
            Some(snapshot) => snapshot.units(&pair.tenant.name, &pair.template.name)?,
            None => BTreeMap::new(),
        };
        Ok(PairFiles {
            wanted: restoring.wanted(pair)?,
            template: Arc::clone(&pair.template),
            tenant: pair.tenant.name.clone(),
            schema: pair.tenant.schema.clone(),
            known,
            state: Mutex::default(),
            restoring,
        })
    }

    fn state(&self) -> MutexGuard<'_, PairFilesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn template(&self) -> &Template {
        &self.template
    }

    fn name(&self) -> &TemplateName {
        &self.template.name
    }

    /// Whether the warehouse lands in this place.
    pub fn is_home(&self, place: usize) -> bool {
        self.restoring.home == Some(place)
    }

    /// Why a day that should have a file has none.
    pub fn lacking(&self) -> Error {
        let error = Error::new(
            Kind::Io,
            format!(
                "no file of this day is stored under {}",
                urls(&self.restoring.places)
            ),
        );
        error.with_hint("load these days from their source with `dayhaul backfill --from D --to D`, or add another place with `--from`")
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
        good.sort_by_key(|place| state.unresponsive.contains(place));
        good.into_iter()
    }

    /// Stops using a bad file.
    pub fn set_aside(&self, day: Day, place: usize, why: Error) {
        tracing::debug!(%day, error = %why, "file set aside");
        self.state().bad.entry(day).or_default().insert(place, why);
    }

    /// Why no place had a good file of the day: the preferred place's error, then those of the others.
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

    /// Opens the first good file of a day. A bad file is set aside; a place that does not respond, even after retries, is
    /// skipped.
    ///
    /// # Errors
    /// Transient when a place that may have the file did not respond; the reasons when no place has a good one.
    pub async fn open(&self, day: Day) -> Result<DayFile> {
        let mut unresponsive = None;
        for place in self.candidates(day) {
            match self.open_at(place, day).await {
                Ok(file) => return Ok(file),
                Err(error) if error.is_transient() => {
                    if self.state().unresponsive.insert(place) {
                        let url = self.restoring.places[place].url();
                        tracing::warn!(%error, "`{url}` does not respond; other places are tried first from now on");
                    }
                    unresponsive = unresponsive.or(Some(error));
                }
                Err(error) => self.set_aside(day, place, error),
            }
        }
        Err(unresponsive.unwrap_or_else(|| self.why_none(day)))
    }

    async fn open_at(&self, place: usize, day: Day) -> Result<DayFile> {
        let object = ObjectPath {
            template: self.name().clone(),
            schema: self.schema.clone(),
            day,
        };
        let landing = &self.restoring.places[place];
        let file = landing.open_file(&object).await?.ok_or_else(|| {
            Error::new(
                Kind::Io,
                format!("`{}` no longer exists", landing.url_of(&object)),
            )
        })?;
        let at = || format!("`{}`", file.url());
        let newer = self.check_known(day, file.footer()).at(at)?;
        let columns = self.columns(file.footer()).at(at)?;
        let rounded = file.footer().is_lossy(&columns.written);
        if rounded && !self.restoring.allow_lossy {
            return Err(lossy(file.footer())).at(at);
        }
        let remark = FileRemark { newer, rounded };
        DayFile::new(file, place, columns, &self.template, remark)
    }

    /// A file that is older than the snapshot must hold the rows that the snapshot's ledger records. Gives whether the file is
    /// newer and has others.
    fn check_known(&self, day: Day, footer: &Footer) -> Result<bool> {
        let Some(snapshot) = &self.restoring.snapshot else {
            return Ok(false);
        };
        let known = self.known.get(&day);
        let same = |known: &Known| known.rows == footer.rows && is_digest(known, footer);
        if known.is_some_and(same) {
            return Ok(false);
        }
        if footer.run > snapshot.last_run {
            return match self.restoring.exact {
                true => Err(newer(snapshot, footer)),
                false => Ok(true),
            };
        }
        let error = match known {
            Some(known) => Error::new(
                Kind::Data,
                format!(
                    "it holds {} rows with digest {}, but the ledger of snapshot {} records {} rows with digest {}",
                    footer.rows, footer.digest, snapshot.id, known.rows, known.digest
                ),
            ),
            // The day was withdrawn, or its pair was dropped, before the snapshot was taken.
            None => Error::new(
                Kind::Data,
                format!(
                    "the ledger of snapshot {} does not have this day",
                    snapshot.id
                ),
            ),
        };
        Err(error.with_hint(
            "this place holds an older copy: put a place with the latest files first, or add `--no-snapshot` to restore the files as they are",
        ))
    }

    /// A day was restored and committed.
    pub fn restored(&self, day: Day, remark: FileRemark) {
        let pair = format!("{}/{}", self.tenant, self.template.name);
        self.restoring.remarks.add(&pair, day, remark);
    }

    /// Maps the columns of the file's template, once per version.
    fn columns(&self, footer: &Footer) -> Result<Arc<ColumnMapping>> {
        let origin = &footer.origin;
        if let Some(known) = self.state().columns.get(&origin.version)
            && known.written.source == origin.template_source
        {
            return Ok(Arc::clone(known));
        }
        let written = Template::parse(origin.template.clone(), &origin.template_source)
            .at(|| "template in the footer".to_owned())?;
        if written.version() != origin.version {
            return Err(Error::new(
                Kind::Data,
                format!(
                    "its footer declares template version {}, but holds the text of version {}",
                    origin.version,
                    written.version()
                ),
            ));
        }
        let columns = Arc::new(ColumnMapping::new(written, &self.template)?);
        let version = origin.version.clone();
        self.state().columns.insert(version, Arc::clone(&columns));
        Ok(columns)
    }

    /// Whether a template version must still be added to the catalog. Only the first caller gets `true`.
    pub fn is_new_version(&self, version: &str) -> bool {
        version != self.template.version() && self.state().registered.insert(version.to_owned())
    }

    /// Whether a note was not reported yet. Only the first caller gets `true`.
    pub fn is_new_note(&self, note: &str) -> bool {
        self.state().noted.insert(note.to_owned())
    }
}

fn newer(snapshot: &Snapshot, footer: &Footer) -> Error {
    Error::new(
        Kind::Data,
        format!(
            "it was written by run {}, after snapshot {} (run {}), and has other rows",
            footer.run, snapshot.id, snapshot.last_run
        ),
    )
    .with_hint("to restore the newer rows, leave out `--exact`; or add a place with files of that time (`--from`)")
}

fn lossy(footer: &Footer) -> Error {
    let values = match footer.rounded {
        Some(1) => "it holds 1 rounded value".to_owned(),
        Some(n) => format!("it holds {n} rounded values"),
        None => "it may hold rounded values".to_owned(),
    };
    Error::new(
        Kind::Data,
        format!("{values}, because a column lands as `double`"),
    )
    .with_hint(
        "to restore the rounded values, add `--allow-lossy`; to get the true ones, load the day from its source with \
         `dayhaul backfill --from D --to D`",
    )
}

/// The ledger of a restored warehouse holds the digest of the rows as read from the file.
fn is_digest(known: &Known, footer: &Footer) -> bool {
    let known = &known.digest;
    *known == footer.digest.to_string() || *known == footer.digest_of_rows().to_string()
}
