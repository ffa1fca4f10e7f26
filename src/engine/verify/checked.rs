//! What a verification found for a unit.

use super::row_diff::Diff;
use crate::copy::Tally;
use crate::unit::Unit;
use crate::warehouse::Extra;
use std::sync::Arc;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The source with the warehouse.
    Source,
    /// The warehouse with the ledger. Contacts no source.
    Ledger,
    /// Source, warehouse and ledger.
    #[default]
    Both,
    /// The Parquet files with warehouse and ledger. Contacts no source.
    Parquet,
    /// Source, warehouse, ledger and the Parquet files.
    All,
}

impl Against {
    pub fn reads_sources(self) -> bool {
        matches!(self, Against::Source | Against::Both | Against::All)
    }

    pub fn reads_files(self) -> bool {
        matches!(self, Against::Parquet | Against::All)
    }

    pub fn reads_ledger(self) -> bool {
        self != Against::Source
    }
}

/// Which of the sides differs from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Odd {
    /// Warehouse and ledger agree: the source changed since the load.
    Source,
    /// Source and ledger agree: the warehouse was changed.
    Warehouse,
    /// Source and warehouse agree: the ledger was changed.
    Ledger,
    /// The others agree: the file holds other rows.
    Parquet,
    /// No two of what was compared agree.
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Equal rows in all that was compared.
    Ok,
    Differs(Odd),
    /// It is in the ledger, but its table no longer exists.
    Missing,
    /// The ledger names its file, but the file does not exist.
    MissingFile,
    /// No file is known to hold its rows.
    NotLanded,
    /// Its rows are right, or it should have none, but rows of the day are also in a table that the ledger does not name.
    Extra,
    /// It was requested and is not in the ledger.
    NotLoaded,
    /// It could not be read.
    Failed,
    /// The run ended, or the tenant was skipped after failures, before its turn.
    NotTried,
}

/// A unit's rows on each side that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sides {
    pub source: Option<Tally>,
    pub warehouse: Option<Tally>,
    pub ledger: Option<Tally>,
    pub parquet: Option<Tally>,
}

impl Sides {
    /// The side that the warehouse's user has: the warehouse or, for a day in files alone, the file.
    pub fn read_back(&self) -> Option<Tally> {
        self.warehouse.or(self.parquet)
    }

    /// Compares those sides that `against` asks for and that were read. `loaded`: the warehouse should hold the unit, not
    /// only its file.
    pub fn verdict(&self, against: Against, loaded: bool) -> Verdict {
        if loaded && self.warehouse.is_none() {
            return Verdict::Missing;
        }
        let requested = [
            (Odd::Source, self.source, against.reads_sources()),
            (Odd::Warehouse, self.warehouse, loaded),
            (Odd::Ledger, self.ledger, against.reads_ledger()),
            (Odd::Parquet, self.parquet, against.reads_files()),
        ];
        let sides: Vec<(Odd, Tally)> = requested
            .into_iter()
            .filter(|(_, _, requested)| *requested)
            .filter_map(|(name, side, _)| Some((name, side?)))
            .collect();
        let agree = |without: Option<Odd>| {
            let mut rest = sides.iter().filter(|(name, _)| Some(*name) != without);
            let first = rest.next();
            rest.all(|(_, side)| first.is_none_or(|(_, first)| side == first))
        };
        if agree(None) {
            return Verdict::Ok;
        }
        // When only two differ, neither is the odd one.
        let odd = sides.iter().map(|(name, _)| *name);
        let odd = odd
            .filter(|_| sides.len() > 2)
            .find(|name| agree(Some(*name)));
        Verdict::Differs(odd.unwrap_or(Odd::All))
    }
}

/// One unit, verified.
#[derive(Debug, Clone)]
pub struct Checked {
    pub unit: Unit,
    pub verdict: Verdict,
    pub sides: Sides,
    /// `schema.table`, as the ledger names it.
    pub relation: Option<Arc<str>>,
    /// The template version that it was loaded with and is verified with.
    pub version: Option<Arc<str>>,
    pub extra: Vec<Extra>,
    /// Which rows differ, when that was requested.
    pub diff: Option<Diff>,
    /// URL of the file that the ledger names.
    pub object: Option<Arc<str>>,
}

impl Checked {
    /// Whether loading the day again may fix it.
    pub fn is_repairable(&self) -> bool {
        match self.verdict {
            Verdict::Differs(_) | Verdict::Missing => true,
            // Rows of a day that was never loaded. A loaded day's extra rows are left alone.
            Verdict::Extra => self.sides.ledger.is_none(),
            Verdict::Ok
            | Verdict::MissingFile
            | Verdict::NotLanded
            | Verdict::NotLoaded
            | Verdict::Failed
            | Verdict::NotTried => false,
        }
    }

    /// Whether source and warehouse were both read and differ.
    pub fn rows_differ(&self) -> bool {
        let Sides {
            source, warehouse, ..
        } = self.sides;
        source.is_some() && warehouse.is_some() && source != warehouse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &[u8]) -> Option<Tally> {
        let mut tally = Tally::default();
        tally.add(text);
        Some(tally)
    }

    fn verdict(source: &[u8], warehouse: &[u8], ledger: &[u8], against: Against) -> Verdict {
        let sides = Sides {
            source: tally(source),
            warehouse: tally(warehouse),
            ledger: tally(ledger),
            parquet: None,
        };
        sides.verdict(against, true)
    }

    #[test]
    fn the_one_that_differs_is_named() {
        use Against::{Both, Ledger, Source};
        for (sides, against, expected) in [
            ([b"a", b"a", b"a"], Both, Verdict::Ok),
            ([b"b", b"a", b"a"], Both, Verdict::Differs(Odd::Source)),
            ([b"a", b"b", b"a"], Both, Verdict::Differs(Odd::Warehouse)),
            ([b"a", b"a", b"b"], Both, Verdict::Differs(Odd::Ledger)),
            ([b"a", b"b", b"c"], Both, Verdict::Differs(Odd::All)),
            ([b"a", b"a", b"b"], Source, Verdict::Ok),
            ([b"a", b"b", b"b"], Source, Verdict::Differs(Odd::All)),
            ([b"b", b"a", b"a"], Ledger, Verdict::Ok),
            ([b"b", b"b", b"a"], Ledger, Verdict::Differs(Odd::All)),
        ] {
            let [source, warehouse, ledger] = sides;
            assert_eq!(
                verdict(source, warehouse, ledger, against),
                expected,
                "{against:?}"
            );
        }
    }

    #[test]
    fn a_table_that_is_gone_is_missing_whatever_the_source_says() {
        let sides = Sides {
            source: tally(b"a"),
            ..Sides::default()
        };
        assert_eq!(sides.verdict(Against::Both, true), Verdict::Missing);
    }

    #[test]
    fn a_file_is_compared_with_the_warehouse_or_without_it() {
        let sides = |warehouse: &[u8], ledger: &[u8], parquet: &[u8]| Sides {
            source: None,
            warehouse: Some(warehouse).filter(|w| !w.is_empty()).and_then(tally),
            ledger: tally(ledger),
            parquet: tally(parquet),
        };
        for (sides, loaded, expected) in [
            (sides(b"a", b"a", b"a"), true, Verdict::Ok),
            (
                sides(b"a", b"a", b"b"),
                true,
                Verdict::Differs(Odd::Parquet),
            ),
            (
                sides(b"b", b"a", b"a"),
                true,
                Verdict::Differs(Odd::Warehouse),
            ),
            (sides(b"", b"a", b"a"), false, Verdict::Ok),
            (sides(b"", b"a", b"b"), false, Verdict::Differs(Odd::All)),
            (sides(b"", b"a", b"a"), true, Verdict::Missing),
        ] {
            let found = sides.verdict(Against::Parquet, loaded);
            assert_eq!(found, expected, "{sides:?}");
        }
    }
}
