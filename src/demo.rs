//! Sample data for trying Dayhaul: the food log of kitchens, made up but the same every time.
//!
//! The server generates its own rows (`demo/foodlogstats_fill.sql`), so a year with 4,000 rows a day takes seconds.

pub mod stage;

use crate::error::Result;
use crate::pg::Session;
use crate::schema::Scalar;
use crate::sql;
use crate::unit::{Day, Window};

/// The template that reads these tables.
pub const TEMPLATE: &str = include_str!("../templates/foodlogstats.sql");

/// The nine tables of a tenant's application.
pub const TABLES: &str = include_str!("demo/foodlogstats_source.sql");

/// A script for psql, with its variables `:seed`, `:first_day`, `:days` and `:rows`.
const FILL: &str = include_str!("demo/foodlogstats_fill.sql");

/// One tenant's food log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoodLog {
    /// Different for each tenant; also its client number.
    pub seed: u16,
    pub days: Window,
    /// Rows of a normal day. Of thirteen days, one has 30 % fewer rows and one 30 % more.
    pub rows: u32,
}

/// Totals of a food log, or of the view that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoodLogTotals {
    /// UTC days with rows.
    pub days: u64,
    pub rows: u64,
    /// Sum of `weight`, exactly as PostgreSQL prints it.
    pub weight: String,
}

impl FoodLog {
    /// Creates and fills the tables in an empty database, as a superuser.
    ///
    /// # Errors
    /// The server reports an error.
    pub async fn create(&self, session: &Session) -> Result<()> {
        session.batch(TABLES).await?;
        session.batch(&self.fill()).await
    }

    fn fill(&self) -> String {
        FILL.replace(":seed", &self.seed.to_string())
            .replace(":'first_day'", &format!("'{}'", self.days.from))
            .replace(":days", &self.days.len().to_string())
            .replace(":rows", &self.rows.to_string())
    }

    /// The number of rows of a day.
    pub fn rows_of(&self, day: Day) -> u64 {
        let tenths = match day.pg_days() % 13 {
            4 => 7,
            9 => 13,
            _ => 10,
        };
        u64::from(self.rows) * tenths / 10
    }

    /// The number of all rows.
    pub fn rows(&self) -> u64 {
        self.days.days().map(|day| self.rows_of(day)).sum()
    }
}

/// The first id of late rows.
const LATE: i64 = 9_000_000_000_000_000;

/// Removes the rows of [`late_rows`].
pub const NO_LATE_ROWS: &str = "DELETE FROM phood_foodlogsum WHERE id >= 9000000000000000";

/// A statement that adds late rows to a day: copies of its first `rows` rows (or all, if it has fewer), logged in its last
/// second.
pub fn late_rows(day: Day, rows: u64) -> String {
    let bound = |day| sql::bound(day, Scalar::Timestamptz);
    let (from, to) = (bound(day), bound(day.next()));
    format!(
        "INSERT INTO phood_foodlogsum \
         SELECT {LATE} + number, location_id, inventory_item_id, action_taken_id, action_reason_id, pan_id, quantity, \
                validation_status, flags, {to} - interval '1 second' + number % 1000 * interval '1 ms' \
         FROM (SELECT row_number() OVER (ORDER BY id) - 1 AS number, * FROM phood_foodlogsum \
               WHERE logged_time >= {from} AND logged_time < {to} ORDER BY id LIMIT {rows}) AS first"
    )
}

/// Totals of a tenant's tables, computed on its server without the template.
///
/// # Errors
/// The server reports an error.
pub async fn source_totals(session: &Session) -> Result<FoodLogTotals> {
    let found = session
        .simple(
            "SELECT count(DISTINCT (log.logged_time AT TIME ZONE 'UTC')::date), count(*), \
                    sum(log.quantity - coalesce(pan.average_weight, 0)) \
             FROM phood_foodlogsum AS log LEFT JOIN phood_pan AS pan ON pan.id = log.pan_id",
        )
        .await?;
    Ok(totals(&found.rows.into_iter().next().unwrap_or_default()))
}

/// Totals from a row whose last columns are days, rows and weight.
pub fn totals(row: &[Option<String>]) -> FoodLogTotals {
    let mut values = row[row.len().saturating_sub(3)..].iter().flatten();
    let mut number = || values.next().and_then(|v| v.parse().ok()).unwrap_or(0);
    let (days, rows) = (number(), number());
    FoodLogTotals {
        days,
        rows,
        weight: values.next().cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_psqls_variables_is_left_in_the_script() {
        let from: Day = "2024-01-01".parse().unwrap();
        let log = FoodLog {
            seed: 3,
            days: Window::new(from, from.plus(7)),
            rows: 100,
        };
        let script: String = log
            .fill()
            .lines()
            .filter(|l| !l.starts_with("--"))
            .collect::<Vec<_>>()
            .join("\n");
        for variable in [":seed", ":'first_day'", ":days", ":rows"] {
            assert!(!script.contains(variable), "{variable}");
        }
    }

    #[test]
    fn totals_are_the_last_three_columns() {
        let row = ["acme", "60", "120000", "7.125"].map(|v| Some(v.to_owned()));
        assert_eq!(
            totals(&row),
            FoodLogTotals {
                days: 60,
                rows: 120_000,
                weight: "7.125".into()
            }
        );
    }
}
