//! Sources that change: late rows, changed rows, deleted rows, rows that move, rows that exchange their days.

use crate::support::random::Random;
use crate::support::server::Database;

/// The days of the sources: across the end of a year.
pub const FIRST: &str = "2023-12-18";
pub const LAST: &str = "2024-01-14";
pub const TODAY: &str = "2024-01-15";
pub const DAYS: u64 = 28;
/// A day that never changes: a reader sees all of it or, before its first load, nothing.
pub const QUIET_DAY: &str = "2023-12-24";
const QUIET: u64 = 6;
pub const ROWS_A_DAY: u64 = 6;

/// Fetched in windows of several days.
pub const EVENT: &str = r#"/*
time_column = "at"
unique = ["id"]
indexes = ["note"]
lookback_days = 3

[columns]
id = "bigint"
at = "timestamptz"
note = "varchar(40)"
amount = "numeric(12,2)"
*/
SELECT id, at, note, amount FROM event, pg_sleep(0.002) WHERE at >= {from} AND at < {to}
"#;

/// Fetched day by day, with a key of two columns and a date for its time.
pub const VISIT: &str = r#"/*
time_column = "day"
unique = ["place", "number"]
lookback_days = 2

[columns]
place = "text"
number = "integer"
day = "date"
seen = "timestamp"
*/
SELECT place, number, day, seen FROM visit WHERE day = {day}
"#;

pub fn create(source: &Database) {
    source.run(&format!(
        "CREATE TABLE event (id bigint PRIMARY KEY, at timestamptz, note text, amount numeric);
         CREATE INDEX ON event (at);
         CREATE TABLE visit (place text, number int, day date, seen timestamp, PRIMARY KEY (place, number));
         CREATE INDEX ON visit (day);
         CREATE SEQUENCE next START 1000000;
         INSERT INTO event SELECT d * 1000 + n, timestamptz '{FIRST} 00:00+00' + d * interval '1 day' + n * interval '3 hours',
                'note ' || n, d + n / 100.0
         FROM generate_series(0, {DAYS} - 1) AS d, generate_series(1, {ROWS_A_DAY}) AS n;
         INSERT INTO visit SELECT 'place ' || n, d, date '{FIRST}' + d, timestamp '{FIRST}' + d * interval '1 day'
         FROM generate_series(0, {DAYS} - 1) AS d, generate_series(1, {ROWS_A_DAY}) AS n"
    ));
}

/// Some changes to days other than the quiet one; what they were.
pub fn change(source: &Database, random: &mut Random) -> Vec<String> {
    let changes = random.next() % 4;
    (0..changes)
        .map(|_| {
            let sql = one_change(random);
            source.run(&sql);
            sql
        })
        .collect()
}

fn one_change(random: &mut Random) -> String {
    let mut day = || {
        let day = random.next() % (DAYS - 1);
        if day >= QUIET { day + 1 } else { day }
    };
    let (a, b) = (day(), day());
    let at = |day: u64| format!("timestamptz '{FIRST} 00:00+00' + {day} * interval '1 day'");
    let of = |day: u64| format!("at >= {0} AND at < {0} + interval '1 day'", at(day));
    let date = |day: u64| format!("date '{FIRST}' + {day}");
    let (on_a, at_a, at_b) = (of(a), at(a), at(b));
    match random.next() % 8 {
        0 => format!(
            "INSERT INTO event SELECT nextval('next'), {at_a} + n * interval '1 hour', 'late', n FROM generate_series(1, 3) AS n"
        ),
        1 => format!(
            "UPDATE event SET amount = amount + 1, note = note || '.' WHERE {on_a} AND id % 2 = 0 AND length(note) < 30"
        ),
        2 => format!("DELETE FROM event WHERE id = (SELECT min(id) FROM event WHERE {on_a})"),
        3 => format!(
            "UPDATE event SET at = {at_b} + interval '12 hours' WHERE id = (SELECT max(id) FROM event WHERE {on_a})"
        ),
        // Two rows exchange their days.
        4 => format!(
            "WITH x AS (SELECT min(id) AS id FROM event WHERE {on_a}), y AS (SELECT min(id) AS id FROM event WHERE {}) \
             UPDATE event SET at = CASE event.id WHEN x.id THEN {at_b} ELSE {at_a} END FROM x, y WHERE event.id IN (x.id, y.id) AND x.id <> y.id",
            of(b)
        ),
        5 => format!(
            "DELETE FROM visit WHERE day = {} AND number % 2 = 0",
            date(a)
        ),
        6 => format!(
            "INSERT INTO visit SELECT 'late', nextval('next'), {}, now()::timestamp FROM generate_series(1, 2)",
            date(a)
        ),
        _ => format!(
            "UPDATE visit SET day = {} WHERE (place, number) IN (SELECT place, number FROM visit WHERE day = {} LIMIT 2)",
            date(b),
            date(a)
        ),
    }
}
