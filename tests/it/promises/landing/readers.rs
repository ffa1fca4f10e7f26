//! Engines that are not ours read the same rows, with the types that were meant.

use super::{COLUMNS, land, open, origin};
use crate::support::python::{python, script};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Rows of the three units that are landed.
const ROWS: [usize; 3] = [3000, 500, 70];

/// What pyarrow and DuckDB say of a tree with two tenants and two days; `None` where they are not installed.
async fn read() -> Option<Value> {
    let python = python(&["pyarrow", "duckdb"])?;
    let root = tempfile::tempdir().unwrap();
    let landing = open(root.path());
    land(&landing, origin("acme", "2024-02-29"), ROWS[0]).await;
    land(&landing, origin("acme", "2024-03-01"), ROWS[1]).await;
    land(&landing, origin("zoo", "2024-02-29"), ROWS[2]).await;
    Some(run(&python, root.path()))
}

fn run(python: &Path, root: &Path) -> Value {
    let out = Command::new(python)
        .arg(script("read.py"))
        .arg(root)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{told}");
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Rows whose value in `column` is not null, by their number in the day.
fn present(column: usize) -> impl Iterator<Item = i64> {
    ROWS.into_iter()
        .flat_map(|rows| 0..rows)
        .filter(move |row| column == 0 || !(row + column).is_multiple_of(7))
        .map(|row| i64::try_from(row).unwrap())
}

fn column(name: &str) -> usize {
    COLUMNS.iter().position(|(n, _)| *n == name).unwrap()
}

#[tokio::test]
async fn other_engines_count_and_sum_the_same_rows() {
    let Some(read) = read().await else { return };
    let cents: i64 = present(column("price"))
        .map(|n| n % 10_000 * 7 - 1000)
        .sum();
    let amount: i64 = present(column("amount"))
        .map(|n| n % 10_000 * 7 - 1000)
        .sum();
    let exact = [
        ("id", present(0).sum::<i64>().to_string()),
        (
            "small",
            present(column("small"))
                .map(|n| n % 100)
                .sum::<i64>()
                .to_string(),
        ),
        (
            "count",
            present(column("count"))
                .map(|n| n % 1000)
                .sum::<i64>()
                .to_string(),
        ),
        ("price", format!("{}.{:02}", cents / 100, cents % 100)),
        (
            "amount",
            format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000),
        ),
    ];
    for engine in ["pyarrow", "duckdb"] {
        let told = &read[engine];
        assert_eq!(told["rows"], ROWS.iter().sum::<usize>(), "{engine}");
        for (name, sum) in &exact {
            assert_eq!(told["sums"][name], **sum, "{engine}: {name}");
        }
        for (index, (name, _)) in COLUMNS.iter().enumerate() {
            let nulls = ROWS.iter().sum::<usize>() - present(index).count();
            assert_eq!(told["nulls"][name], nulls, "{engine}: {name}");
        }
        assert_eq!(told["tenants"], json!(["acme", "zoo"]), "{engine}");
        assert_eq!(
            told["dates"],
            json!(["2024-02-29", "2024-03-01"]),
            "{engine}"
        );
    }
    assert_eq!(read["duckdb"]["of_one_day"], ROWS[0]);
    // Every digit of a decimal of 50.
    let huge: i128 = present(column("huge")).map(i128::from).sum();
    let ones = present(column("huge")).count();
    assert_eq!(
        read["pyarrow"]["sums"]["huge"],
        format!("{huge}{}.{ones:010}", "0".repeat(20))
    );
}

#[tokio::test]
async fn other_engines_see_the_types_that_were_meant() {
    let Some(read) = read().await else { return };
    for (name, pyarrow, duckdb) in [
        ("id", "int64", "BIGINT"),
        ("small", "int16", "SMALLINT"),
        ("count", "int32", "INTEGER"),
        ("open", "bool", "BOOLEAN"),
        ("ratio", "float", "FLOAT"),
        ("weight", "double", "DOUBLE"),
        ("price", "decimal128(10, 2)", "DECIMAL(10,2)"),
        ("amount", "decimal128(30, 6)", "DECIMAL(30,6)"),
        // DuckDB has no decimals of more than 38 digits.
        ("huge", "decimal256(50, 10)", "DOUBLE"),
        ("store", "string", "VARCHAR"),
        ("raw", "binary", "BLOB"),
        ("day", "date32[day]", "DATE"),
        ("at_time", "time64[us]", "TIME"),
        ("seen", "timestamp[us]", "TIMESTAMP"),
        (
            "logged_time",
            "timestamp[us, tz=UTC]",
            "TIMESTAMP WITH TIME ZONE",
        ),
        ("key", "extension<arrow.uuid>", "UUID"),
        ("doc", "extension<arrow.json>", "JSON"),
        ("address", "string", "VARCHAR"),
        ("flags", "list<element: string>", "VARCHAR[]"),
        ("sizes", "list<element: int32>", "INTEGER[]"),
        ("tenant", "string", "VARCHAR"),
    ] {
        assert_eq!(read["pyarrow"]["types"][name], pyarrow, "{name}");
        assert_eq!(read["duckdb"]["types"][name], duckdb, "{name}");
    }
    assert_eq!(read["duckdb"]["types"]["date"], "DATE");
    let logical = &read["pyarrow"]["logical"];
    for (path, ty) in [
        ("seen", "isAdjustedToUTC=false, timeUnit=microseconds"),
        ("logged_time", "isAdjustedToUTC=true, timeUnit=microseconds"),
        ("key", "UUID"),
        ("doc", "JSON"),
        ("price", "Decimal(precision=10, scale=2)"),
        ("flags.list.element", "String"),
    ] {
        let told = logical[path].as_str().unwrap_or_default();
        assert!(told.contains(ty), "{path}: {told}");
    }
}

#[tokio::test]
async fn other_engines_see_the_values_that_were_written() {
    let Some(read) = read().await else { return };
    for (name, pyarrow, duckdb) in [
        ("price", "-9.65", "-9.65"),
        ("amount", "-0.000965", "-0.000965"),
        ("day", "2024-02-29", "2024-02-29"),
        ("at_time", "00:00:00.000005", "00:00:00.000005"),
        (
            "seen",
            "2024-02-29 00:00:05.000005",
            "2024-02-29 00:00:05.000005",
        ),
        (
            "logged_time",
            "2024-02-29 00:00:05.000005+00:00",
            "2024-02-29 00:00:05.000005+00",
        ),
        (
            "key",
            "00000000-0000-0000-0000-000000000005",
            "00000000-0000-0000-0000-000000000005",
        ),
        ("doc", "{\"n\": 5}", "{\"n\": 5}"),
        ("address", "10.0.0.5", "10.0.0.5"),
        ("flags", "[None, 'flag 1']", "[NULL, flag 1]"),
        ("took", "None", "None"),
        ("tenant", "acme", "acme"),
        ("date", "2024-02-29", "2024-02-29"),
    ] {
        assert_eq!(read["pyarrow"]["row"][name], pyarrow, "{name}");
        assert_eq!(read["duckdb"]["row"][name], duckdb, "{name}");
    }
    assert_eq!(
        read["pyarrow"]["row"]["huge"],
        "500000000000000000000.0000000001"
    );
    let pyarrow = &read["pyarrow"];
    assert_eq!(pyarrow["footer"]["dayhaul.rows"], "3000");
    assert_eq!(pyarrow["footer"]["dayhaul.tenant"], "acme");
    assert_eq!(pyarrow["statistics"], 2999);
}
