//! The rows of a day that differ, as they are reported.

use std::collections::BTreeMap;

/// How the rows of a day differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diff {
    /// Row by row.
    Rows(RowDiff),
    /// The day does not fit into the memory for matching, in bytes.
    TooLarge { budget: usize },
}

/// Rows that only one side has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowDiff {
    /// Rows of the source that are not in the warehouse.
    pub added: u64,
    /// Rows of the warehouse that are not at the source.
    pub removed: u64,
    /// Rows with the same key but different values. Always 0 when `by_key` is false.
    pub changed: u64,
    /// The columns in which changed rows differ, and in how many rows.
    pub columns: BTreeMap<String, u64>,
    /// Rows were matched by the template's unique columns.
    pub by_key: bool,
    /// The first rows of each kind with their values; empty unless values were requested.
    pub shown: Vec<DiffRow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowChange {
    Added,
    Removed,
    Changed,
}

/// One row, with values as PostgreSQL writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffRow {
    pub change: RowChange,
    /// The unique columns.
    pub key: Vec<ColumnValue>,
    /// The columns that changed.
    pub columns: Vec<ChangedValue>,
}

/// A column's value on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedValue {
    pub warehouse: ColumnValue,
    pub source: ColumnValue,
}

/// A column's value; null is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnValue {
    pub column: String,
    pub text: Option<String>,
}
