//! Which rows of a day differ: both sides read again, rows with equal digests struck out, the rest matched by key.
//!
//! # Memory usage
//!
//! A counter per distinct row of the warehouse, and the rows that only one side has, within the memory that all windows
//! of a load may take (`jobs` × `window_bytes`). A day beyond it is told in counts.

use super::checked::Checked;
use super::plan::Subject;
use super::stream;
use crate::config::Settings;
use crate::copy::{Digest, fields};
use crate::engine::schedule::watchdog::{Meter, unless_stalled};
use crate::engine::window::load::begin_source;
use crate::error::{Error, Kind, Result};
use crate::pg::{self, Access, Purpose, Raw, Session, ToSql};
use crate::template::{Template, copy_out_sql};
use crate::unit::Window;
use crate::warehouse::{begin_reading, open_session, read_back_sql};
use std::collections::{BTreeMap, HashMap};

/// Memory of a row's counter: 16 bytes of digest, the counter, and room that a hash map keeps free.
const COUNTER_BYTES: usize = 64;

/// Rows whose values are shown, of each kind and day.
const ROWS_SHOWN: usize = 20;

/// How the rows of a day differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diff {
    /// Row by row.
    Rows(Rows),
    /// The day does not fit the memory that matching may take, in bytes.
    TooLarge { budget: usize },
}

/// Rows that only one side has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// At the source, not in the warehouse.
    pub added: u64,
    /// In the warehouse, not at the source.
    pub removed: u64,
    /// The same key on both sides, other values. Always 0 when `by_key` is false.
    pub changed: u64,
    /// Columns in which changed rows differ, and in how many of them.
    pub columns: BTreeMap<String, u64>,
    /// Rows were matched by the template's unique columns.
    pub by_key: bool,
    /// The first of them with their values; empty unless that was asked for.
    pub shown: Vec<Row>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Removed,
    Changed,
}

/// One row, with values as PostgreSQL writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub change: Change,
    /// Of the unique columns.
    pub key: Vec<Value>,
    /// Of the columns that changed: (in the warehouse, at the source).
    pub columns: Vec<(Value, Value)>,
}

/// A column's value; null is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub column: String,
    pub text: Option<String>,
}

type Tuple = Box<[u8]>;

/// Tuples that only one side has.
#[derive(Default)]
struct Unmatched {
    source: Vec<Tuple>,
    warehouse: Vec<Tuple>,
}

/// Finds the rows that differ.
pub struct Differ<'a> {
    settings: &'a Settings,
    warehouse: &'a Access,
    values: bool,
    budget: usize,
}

impl<'a> Differ<'a> {
    pub fn new(settings: &'a Settings, warehouse: &'a Access, values: bool) -> Differ<'a> {
        Differ {
            settings,
            warehouse,
            values,
            budget: settings
                .load
                .window_bytes
                .saturating_mul(settings.load.jobs.max(1)),
        }
    }

    /// Reads a day of both sides again.
    ///
    /// # Errors
    /// The servers'; nothing moved for too long.
    pub async fn day(&self, subject: &Subject, checked: &Checked) -> Result<Diff> {
        let (Some(access), Some(relation), Some(version)) =
            (&subject.access, &checked.relation, &checked.version)
        else {
            return Err(Error::new(
                Kind::Bug,
                "a day was to be read that nobody has",
            ));
        };
        let source = pg::connect(access, Purpose::Source).await?;
        let owner = &self.settings.warehouse.owner_role;
        let warehouse = open_session(self.warehouse, owner).await?;
        begin_reading(&warehouse).await?;
        let template = subject.version(version)?;
        let window = Window::single(checked.unit.day);
        let load = &self.settings.load;
        source.batch(&begin_source(load.statement_timeout)).await?;
        let (schema, table) = relation.split_once('.').unwrap_or_default();
        let day = Day {
            template,
            window,
            source: &source,
            source_sql: copy_out_sql(
                template,
                &subject.bind(template, window)?,
                self.settings.masks.as_ref(),
            ),
            warehouse: &warehouse,
            warehouse_sql: read_back_sql(schema, table, template, window),
            meter: Meter::default(),
        };
        let Some(unmatched) =
            unless_stalled(&day.meter, load.stall_timeout, day.unmatched(self.budget)).await?
        else {
            return Ok(Diff::TooLarge {
                budget: self.budget,
            });
        };
        let keys = key_columns(subject, template);
        let matched = Matched::of(&unmatched, template, &keys);
        let mut rows = matched.rows(template);
        if self.values {
            rows.shown = matched.shown(&warehouse, template).await?;
        }
        Ok(Diff::Rows(rows))
    }
}

/// Positions of the columns that name a row. Which these are is no matter of the version.
fn key_columns(subject: &Subject, template: &Template) -> Vec<usize> {
    let position = |name: &String| template.columns.iter().position(|c| c.name == *name);
    let unique = &subject.pair.template.unique;
    let found: Option<Vec<usize>> = unique.iter().map(position).collect();
    found.unwrap_or_default()
}

/// One day, about to be read.
struct Day<'a> {
    template: &'a Template,
    window: Window,
    source: &'a Session,
    source_sql: String,
    warehouse: &'a Session,
    warehouse_sql: String,
    meter: Meter,
}

impl Day<'_> {
    async fn read(&self, session: &Session, sql: &str, mut each: impl FnMut(&[u8])) -> Result<()> {
        let moved = |_, _| self.meter.moved();
        stream::tally(
            session,
            sql,
            self.template,
            self.window,
            moved,
            |_, tuple| {
                each(tuple);
            },
        )
        .await
        .map(drop)
    }

    /// The tuples that only one side has; `None` when they, or the counters, do not fit `budget` bytes.
    async fn unmatched(&self, budget: usize) -> Result<Option<Unmatched>> {
        let mut counters: HashMap<Digest, u32> = HashMap::new();
        let most = budget / COUNTER_BYTES;
        let mut fits = true;
        self.read(self.warehouse, &self.warehouse_sql, |tuple| {
            if counters.len() < most {
                *counters.entry(Digest::of(tuple)).or_default() += 1;
            } else {
                fits = false;
            }
        })
        .await?;
        if !fits {
            return Ok(None);
        }
        let mut left = budget.saturating_sub(counters.len() * COUNTER_BYTES);
        let mut unmatched = Unmatched::default();
        let mut keep = |kept: &mut Vec<Tuple>, tuple: &[u8]| match left.checked_sub(tuple.len()) {
            Some(less) => {
                left = less;
                kept.push(tuple.into());
            }
            None => fits = false,
        };
        self.read(self.source, &self.source_sql, |tuple| {
            if !take(&mut counters, tuple) {
                keep(&mut unmatched.source, tuple);
            }
        })
        .await?;
        if !counters.is_empty() {
            self.read(self.warehouse, &self.warehouse_sql, |tuple| {
                if take(&mut counters, tuple) {
                    keep(&mut unmatched.warehouse, tuple);
                }
            })
            .await?;
        }
        Ok(fits.then_some(unmatched))
    }
}

/// Takes one such tuple out; whether there was one.
fn take(counters: &mut HashMap<Digest, u32>, tuple: &[u8]) -> bool {
    let digest = Digest::of(tuple);
    match counters.get_mut(&digest) {
        None => false,
        Some(1) => counters.remove(&digest).is_some(),
        Some(n) => {
            *n -= 1;
            true
        }
    }
}

/// Tuples that only one side has, those of one key side by side.
struct Matched<'a> {
    keys: &'a [usize],
    added: Vec<&'a [u8]>,
    removed: Vec<&'a [u8]>,
    /// (in the warehouse, at the source)
    changed: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Matched<'a> {
    fn of(unmatched: &'a Unmatched, template: &Template, keys: &'a [usize]) -> Matched<'a> {
        debug_assert!(keys.iter().all(|key| *key < template.columns.len()));
        let mut matched = Matched {
            keys,
            added: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
        };
        let mut by_key: HashMap<Vec<Option<&[u8]>>, Vec<&[u8]>> = HashMap::new();
        for tuple in &unmatched.warehouse {
            if keys.is_empty() {
                matched.removed.push(tuple);
            } else {
                by_key.entry(key_of(tuple, keys)).or_default().push(tuple);
            }
        }
        for tuple in &unmatched.source {
            let old = by_key.get_mut(&key_of(tuple, keys)).and_then(Vec::pop);
            match old {
                Some(old) => matched.changed.push((old, tuple)),
                None => matched.added.push(tuple),
            }
        }
        matched.removed.extend(by_key.into_values().flatten());
        matched
    }

    fn rows(&self, template: &Template) -> Rows {
        let mut columns = BTreeMap::new();
        for (old, new) in &self.changed {
            for column in changed_columns(old, new) {
                let name = template.columns[column].name.clone();
                *columns.entry(name).or_default() += 1;
            }
        }
        Rows {
            added: self.added.len() as u64,
            removed: self.removed.len() as u64,
            changed: self.changed.len() as u64,
            columns,
            by_key: !self.keys.is_empty(),
            shown: Vec::new(),
        }
    }

    /// The first rows of each kind, written by the warehouse, which knows every type. Nothing can be named without a key.
    async fn shown(&self, warehouse: &Session, template: &Template) -> Result<Vec<Row>> {
        let mut shown = Vec::new();
        if self.keys.is_empty() {
            return Ok(shown);
        }
        for (change, tuples) in [
            (Change::Added, &self.added),
            (Change::Removed, &self.removed),
        ] {
            for tuple in tuples.iter().take(ROWS_SHOWN) {
                shown.push(Row {
                    change,
                    key: texts(warehouse, template, tuple, self.keys).await?,
                    columns: Vec::new(),
                });
            }
        }
        for (old, new) in self.changed.iter().take(ROWS_SHOWN) {
            let columns: Vec<usize> = changed_columns(old, new).collect();
            let old = texts(warehouse, template, old, &columns).await?;
            shown.push(Row {
                change: Change::Changed,
                key: texts(warehouse, template, new, self.keys).await?,
                columns: old
                    .into_iter()
                    .zip(texts(warehouse, template, new, &columns).await?)
                    .collect(),
            });
        }
        Ok(shown)
    }
}

fn key_of<'t>(tuple: &'t [u8], keys: &[usize]) -> Vec<Option<&'t [u8]>> {
    let fields: Vec<_> = fields(tuple).collect();
    keys.iter()
        .map(|key| fields.get(*key).copied().flatten())
        .collect()
}

fn changed_columns(old: &[u8], new: &[u8]) -> impl Iterator<Item = usize> {
    fields(old)
        .zip(fields(new))
        .enumerate()
        .filter_map(|(column, (old, new))| (old != new).then_some(column))
}

/// Columns of a tuple as text.
async fn texts(
    warehouse: &Session,
    template: &Template,
    tuple: &[u8],
    columns: &[usize],
) -> Result<Vec<Value>> {
    let values: Vec<Raw> = key_of(tuple, columns).into_iter().map(Raw).collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as _).collect();
    let written: Vec<String> = columns
        .iter()
        .zip(1..)
        .map(|(column, n)| format!("(${n}::{})::text", template.columns[*column].ty.bare()))
        .collect();
    let sql = format!("SELECT {}", written.join(", "));
    let row = warehouse.query_one(&sql, &parameters).await?;
    Ok(columns
        .iter()
        .enumerate()
        .map(|(i, column)| Value {
            column: template.columns[*column].name.clone(),
            text: row.get(i),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::TemplateName;

    fn template(unique: &str) -> Template {
        let source = format!(
            "/*\ntime_column = \"at\"\n{unique}\n[columns]\nid = \"text\"\nat = \"date\"\nnote = \"text\"\n*/\nSELECT * FROM t"
        );
        Template::parse(TemplateName::parse("t").unwrap(), &source).unwrap()
    }

    fn tuple(id: &str, note: Option<&str>) -> Tuple {
        let mut bytes = vec![0, 3];
        for field in [Some(id), Some("date"), note] {
            let len = field.map_or(-1, |f| i32::try_from(f.len()).unwrap());
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(field.unwrap_or_default().as_bytes());
        }
        bytes.into()
    }

    fn rows(keys: &[usize], source: Vec<Tuple>, warehouse: Vec<Tuple>) -> Rows {
        let template = template("");
        let unmatched = Unmatched { source, warehouse };
        Matched::of(&unmatched, &template, keys).rows(&template)
    }

    #[test]
    fn rows_of_one_key_are_changed_rows_in_the_columns_that_differ() {
        let found = rows(
            &[0],
            vec![tuple("1", Some("x")), tuple("2", None), tuple("4", None)],
            vec![
                tuple("1", Some("y")),
                tuple("2", Some("")),
                tuple("3", None),
            ],
        );
        assert_eq!((found.added, found.removed, found.changed), (1, 1, 2));
        assert_eq!(found.columns, BTreeMap::from([("note".to_owned(), 2)]));
        assert!(found.by_key);
    }

    #[test]
    fn a_second_row_of_one_key_is_a_row_too_many() {
        let found = rows(
            &[0],
            vec![tuple("1", Some("x"))],
            vec![tuple("1", Some("y")), tuple("1", Some("z"))],
        );
        assert_eq!((found.added, found.removed, found.changed), (0, 1, 1));
    }

    #[test]
    fn without_a_key_rows_are_only_counted() {
        let found = rows(
            &[],
            vec![tuple("1", Some("x"))],
            vec![tuple("1", Some("y"))],
        );
        assert_eq!((found.added, found.removed, found.changed), (1, 1, 0));
        assert!(!found.by_key && found.columns.is_empty());
    }

    #[test]
    fn equal_rows_are_struck_out_one_by_one() {
        let row = tuple("1", None);
        let mut counters = HashMap::from([(Digest::of(&row), 2)]);
        assert!(take(&mut counters, &row) && take(&mut counters, &row));
        assert!(!take(&mut counters, &row));
        assert!(counters.is_empty());
    }
}
