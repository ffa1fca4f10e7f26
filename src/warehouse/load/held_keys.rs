//! Rows that a year's table refuses because other days of it hold their keys now: which days those are.

use crate::catalog::ledger::units;
use crate::error::Result;
use crate::pg::Session;
use crate::sql::ident;
use crate::unit::Day;
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::{TableCopy, utc_day, year_table};
use std::collections::BTreeSet;

/// The rows, until the search ends. Only this session sees it.
const TABLE: &str = "pg_temp.dayhaul_keys";

/// A search for the days of a year that hold the keys of rows. Nothing of it stays.
pub struct HeldKeys<'a> {
    session: &'a Session,
    place: Place<'a>,
    year: i32,
}

impl<'a> HeldKeys<'a> {
    /// # Errors
    /// The warehouse's.
    pub async fn begin(session: &'a Session, place: Place<'a>, year: i32) -> Result<HeldKeys<'a>> {
        let like = place.qualified(&year_table(&place.template.name, year));
        session
            .batch(&format!(
                "BEGIN; CREATE TEMPORARY TABLE {TABLE} (LIKE {like})"
            ))
            .await?;
        Ok(HeldKeys {
            session,
            place,
            year,
        })
    }

    /// Takes the rows whose keys are searched for.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn rows(&self) -> Result<TableCopy> {
        TableCopy::begin_into(self.session, self.place.template, TABLE).await
    }

    /// Whether several of the rows have the same key: no other day is to blame then.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn among_themselves(&self) -> Result<bool> {
        let unique = self.place.template.unique.iter();
        let keys: Vec<String> = unique.map(|column| ident(column)).collect();
        let twice = format!(
            "SELECT EXISTS (SELECT FROM {TABLE} GROUP BY {} HAVING count(*) > 1)",
            keys.join(", ")
        );
        Ok(self.session.query_one(&twice, &[]).await?.get(0))
    }

    /// Ends the search. Gives the days, except those that the rows are of.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn find(self, except: &BTreeSet<Day>) -> Result<BTreeSet<Day>> {
        let template = self.place.template;
        let table = self.place.qualified(&year_table(&template.name, self.year));
        let same: Vec<String> = template
            .unique
            .iter()
            .map(|column| format!("held.{0} = new.{0}", ident(column)))
            .collect();
        let rows = self
            .session
            .query(
                &format!(
                    "SELECT DISTINCT {} FROM {table} AS held JOIN {TABLE} AS new ON {}",
                    utc_day(template, "held."),
                    same.join(" AND ")
                ),
                &[],
            )
            .await?;
        self.session.batch("ROLLBACK").await?;
        Ok(&units::days_of(&rows) - except)
    }
}
