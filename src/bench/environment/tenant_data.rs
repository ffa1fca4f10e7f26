//! What the tenants of private servers have, and the template that reads it.

use super::servers::LateRows;
use crate::demo::{self, FoodLog};
use crate::error::Result;
use crate::pg::Session;
use crate::schema::Scalar;
use crate::sql::bound;
use crate::template::Template;
use crate::unit::{Day, TemplateName, Window};

const EVENTS: &str = include_str!("event.sql");

/// The first id of late events.
const LATE: i64 = 9_000_000_000_000_000;

/// Generated rows: the same arguments give the same rows on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantData {
    /// Few tenants with many rows: the food log of the demo.
    FoodLog,
    /// Many tenants with few rows: one table.
    Events,
}

/// How many, unless it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    pub tenants: u16,
    /// Past days.
    pub days: u16,
    pub rows_per_day: u32,
}

impl TenantData {
    pub const fn amounts(self) -> Amounts {
        match self {
            TenantData::FoodLog => Amounts {
                tenants: 10,
                days: 366,
                rows_per_day: 4180,
            },
            TenantData::Events => Amounts {
                tenants: 100,
                days: 1096,
                rows_per_day: 20,
            },
        }
    }

    /// The period of so many past days. Events go on today.
    pub fn window(self, days: u16, today: Day) -> Window {
        let from = today.plus(-i32::from(days));
        match self {
            TenantData::FoodLog => Window::new(from, today),
            TenantData::Events => Window::new(from, today.next()),
        }
    }

    /// # Errors
    /// The template cannot be read, which is a bug.
    pub fn template(self) -> Result<Template> {
        let (name, source) = match self {
            TenantData::FoodLog => ("foodlogstats", demo::TEMPLATE),
            TenantData::Events => ("event", EVENTS),
        };
        Template::parse(TemplateName::parse(name)?, source)
    }

    /// Creates and fills the tables in an empty database.
    ///
    /// # Errors
    /// The server reports an error.
    pub async fn create(self, session: &Session, days: Window, rows: u32) -> Result<()> {
        match self {
            TenantData::FoodLog => {
                FoodLog {
                    seed: 1,
                    days,
                    rows,
                }
                .create(session)
                .await
            }
            TenantData::Events => session.batch(&events(days, rows)).await,
        }
    }

    /// A statement that adds late rows.
    pub fn late_rows(self, late: LateRows) -> String {
        match self {
            TenantData::FoodLog => demo::late_rows(late.day, late.rows),
            TenantData::Events => format!(
                "INSERT INTO event SELECT {LATE} + number, {} - interval '1 second', 'late', number \
                 FROM generate_series(1, {}) AS number",
                bound(late.day.next(), Scalar::Timestamptz),
                late.rows
            ),
        }
    }

    /// Statements that remove them, each in its own transaction.
    pub fn no_late_rows(self) -> [String; 2] {
        match self {
            TenantData::FoodLog => [
                demo::NO_LATE_ROWS.to_owned(),
                "VACUUM phood_foodlogsum".to_owned(),
            ],
            TenantData::Events => [
                format!("DELETE FROM event WHERE id >= {LATE}"),
                "VACUUM event".to_owned(),
            ],
        }
    }
}

fn events(days: Window, rows: u32) -> String {
    format!(
        "CREATE TABLE event (id bigint PRIMARY KEY, at timestamptz NOT NULL, kind text NOT NULL, amount numeric(12,2));
         INSERT INTO event
         SELECT day * {rows} + number, {} + (day + number::float8 / {rows}) * interval '1 day', 'kind ' || number % 10,
                number / 100.0 + day
         FROM generate_series(0, {} - 1) AS day, generate_series(0, {rows} - 1) AS number;
         CREATE INDEX ON event (at)",
        bound(days.from, Scalar::Timestamptz),
        days.len()
    )
}
