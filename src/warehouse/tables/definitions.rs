//! Names and SQL text of day, year and staging tables.

use crate::copy::{HEADER, TRAILER};
use crate::error::Result;
use crate::pg::{Access, CopyIn, Session};
use crate::schema::Scalar;
use crate::sql::{ident, qualified, within};
use crate::template::Template;
use crate::unit::{Day, TemplateName, Window};
use crate::warehouse::context::open_session;
use crate::warehouse::place::Place;
use bytes::Bytes;

/// `<template>_YYYY_MM_DD`.
pub fn day_table(template: &TemplateName, day: Day) -> String {
    format!("{template}_{}", day.suffix())
}

/// `<template>_YYYY`.
pub fn year_table(template: &TemplateName, year: i32) -> String {
    format!("{template}_{year:04}")
}

/// `<template>_YYYY_staging`: a year being built, which no view shows.
pub fn staging_table(template: &TemplateName, year: i32) -> String {
    format!("{}_staging", year_table(template, year))
}

/// `<template>_YYYY_retired`, and `…_retire1` to `…_retire9`, which are as long: a year table whose place another took.
pub fn retired_tables(template: &TemplateName, year: i32) -> impl Iterator<Item = String> {
    let year = year_table(template, year);
    let suffixes = ["d", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    suffixes
        .into_iter()
        .map(move |end| format!("{year}_retire{end}"))
}

/// The condition that a row of the template lies in `window`.
pub fn in_window(template: &Template, window: Window) -> String {
    let time = ident(&template.time_column);
    within(&time, window, template.time_type())
}

/// A table with the template's columns, and a CHECK that no row strays out of `window`.
pub fn create_table(schema: &str, name: &str, template: &Template, window: Window) -> String {
    let columns = template
        .columns
        .iter()
        .map(|c| format!("{} {}", ident(&c.name), c.ty))
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "CREATE TABLE {} ({columns}, CONSTRAINT time_bounds CHECK ({} IS NOT NULL AND {}))",
        qualified(schema, name),
        ident(&template.time_column),
        in_window(template, window),
    )
}

/// The UTC day of a row, as a date; `prefix` is a table's alias and its dot, or nothing.
pub fn utc_day(template: &Template, prefix: &str) -> String {
    let time = ident(&template.time_column);
    match template.time_type() {
        Scalar::Timestamptz => format!("({prefix}{time} AT TIME ZONE 'UTC')::date"),
        _ => format!("{prefix}{time}::date"),
    }
}

/// How many rows of each UTC day `table` (quoted) holds, of those that meet `condition`: columns `day` and `n`.
pub fn count_by_day_sql(template: &Template, table: &str, condition: &str) -> String {
    let time = ident(&template.time_column);
    // Much cheaper by row than a change of time zone.
    let (bin, day) = match template.time_type() {
        Scalar::Timestamptz => (
            format!("date_bin('1 day', {time}, timestamptz '2000-01-01 00:00:00+00')"),
            "(bin AT TIME ZONE 'UTC')::date",
        ),
        Scalar::Date => (time, "bin"),
        _ => (
            format!("date_bin('1 day', {time}, timestamp '2000-01-01 00:00:00')"),
            "bin::date",
        ),
    };
    format!(
        "SELECT {day} AS day, n FROM (SELECT {bin} AS bin, count(*) AS n FROM {table} \
         WHERE {condition} GROUP BY 1) AS bins ORDER BY 1"
    )
}

/// Brings the planner's statistics of a table (`schema.table`) up to date.
///
/// # Errors
/// The warehouse's.
pub async fn analyze(access: &Access, owner: &str, relation: &str) -> Result<()> {
    // Neither part of a name of ours holds a dot.
    let (schema, table) = relation.split_once('.').unwrap_or(("", relation));
    let session = open_session(access, owner).await?;
    session
        .batch(&format!("ANALYZE {}", qualified(schema, table)))
        .await
}

/// The template's columns, quoted, in order.
pub fn column_list(template: &Template) -> String {
    template
        .columns
        .iter()
        .map(|c| ident(&c.name))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A COPY IN of binary tuples into one table: header and trailer are its business.
pub struct TableCopy {
    copy: CopyIn,
}

impl TableCopy {
    pub async fn begin(session: &Session, place: Place<'_>, table: &str) -> Result<TableCopy> {
        TableCopy::begin_into(session, place.template, &place.qualified(table)).await
    }

    /// Into any `table` (quoted) that has the template's columns.
    pub async fn begin_into(
        session: &Session,
        template: &Template,
        table: &str,
    ) -> Result<TableCopy> {
        let mut copy = session
            .copy_in(&format!(
                "COPY {table} ({}) FROM STDIN (FORMAT binary)",
                column_list(template),
            ))
            .await?;
        copy.send(Bytes::from_static(&HEADER)).await?;
        Ok(TableCopy { copy })
    }

    /// Sends whole tuples; best in pieces of 64 to 256 KiB.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn send(&mut self, tuples: Bytes) -> Result<()> {
        self.copy.send(tuples).await
    }

    /// Ends the COPY; gives the number of rows that the server stored.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn finish(mut self) -> Result<u64> {
        self.copy.send(Bytes::from_static(&TRAILER)).await?;
        self.copy.finish().await
    }
}
