//! A small source that the load tests share: events with a time, a short note and an amount.

use crate::support::killer::ONLY_IN_THE_DATABASE;
use crate::support::server::{Database, Holder};
use crate::support::world::{Output, Running, World, wait_until};

pub const TEMPLATE: &str = r#"/*
description = "Events"
time_column = "at"
open_days = 16
unique = ["id"]
indexes = ["note"]

[columns]
id = "bigint"
at = "timestamptz"
note = "varchar(20)"
amount = "numeric(12,2)"
*/
SELECT id, at, note, amount FROM event WHERE at >= {from} AND at < {to}
"#;

/// The events, a day at a time, each row taking `seconds` to come.
pub fn slow(seconds: f64) -> String {
    TEMPLATE.replace(
        "at >= {from} AND at < {to}",
        &format!(
            "at >= ({{day}}::timestamp AT TIME ZONE 'UTC') AND at < (({{day}} + 1)::timestamp AT TIME ZONE 'UTC')\n\
             AND pg_sleep({seconds}) IS NOT NULL"
        ),
    )
}

/// The events, a day at a time, of which no row comes while somebody keeps the source [closed](close).
pub fn gated() -> String {
    one_day_windows(TEMPLATE).replace(
        "WHERE",
        "WHERE pg_advisory_xact_lock_shared(1) IS NOT NULL AND",
    )
}

/// A template whose windows are single days.
pub fn one_day_windows(template: &str) -> String {
    template.replace("[columns]", "windows = \"day\"\n[columns]")
}

/// Keeps the rows of [`gated`] events back until it is let go.
pub fn close(source: &Database) -> Holder {
    Holder::new(source, "SELECT pg_advisory_xact_lock(1)")
}

/// A day that stays in the past, whenever the tests run: `--today` of the runs.
pub const TODAY: &str = "2024-03-20";

/// Keeps everybody from reading the events until it is let go.
pub fn lock(source: &Database) -> Holder {
    Holder::new(source, "LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
}

pub fn create(source: &Database) {
    source.run(
        "CREATE TABLE event (id bigint PRIMARY KEY, at timestamptz, note text, amount numeric);
         CREATE INDEX ON event (at)",
    );
}

/// `rows` events on each of `days` days from `from` on; ids go on from those that are there.
pub fn fill(source: &Database, from: &str, days: u32, rows: u32) {
    source.run(&format!(
        "INSERT INTO event
         SELECT (SELECT coalesce(max(id), 0) FROM event) + d * {rows} + n,
                timestamptz '{from} 00:00+00' + d * interval '1 day' + n * (interval '1 day' / ({rows} + 1)),
                'note ' || n, d + n / 100.0
         FROM generate_series(0, {days} - 1) AS d, generate_series(1, {rows}) AS n"
    ));
}

impl World {
    /// `init`, the events template (or `template` in its place) and the tenants of this world, each enabled.
    pub fn set_up_events(&self, names: &[&str], template: &str) {
        self.set_up_template("event", template, names);
    }

    /// `init`, a template, and the tenants of this world enabled for it.
    pub fn set_up_template(&self, name: &str, template: &str, names: &[&str]) {
        self.dayhaul(&["init"]).ok();
        let file = format!("templates/{name}.sql");
        self.write(&file, template);
        self.dayhaul(&["template", "load", &file]).ok();
        for (tenant, source) in names.iter().zip(&self.tenants) {
            self.dayhaul(&[
                "tenant",
                "add",
                tenant,
                "--url",
                &source.url(),
                "--template",
                name,
                "--no-test",
            ])
            .ok();
        }
    }

    /// A world of the events template whose tenants have `rows` events on each of `days` days from `from` on.
    pub fn with_events(name: &str, tenants: &[&str], from: &str, days: u32, rows: u32) -> World {
        World::new(name, tenants).filled(tenants, TEMPLATE, from, (days, rows))
    }

    /// A world whose tenants have `rows` events on each of `days` days from `from` on, for the template that is given.
    pub fn filled(
        self,
        tenants: &[&str],
        template: &str,
        from: &str,
        (days, rows): (u32, u32),
    ) -> World {
        for source in &self.tenants {
            create(source);
            fill(source, from, days, rows);
        }
        self.set_up_events(tenants, template);
        self
    }

    /// As [`World::with_events`], with rows that take their time.
    pub fn with_slow_events(
        name: &str,
        tenants: &[&str],
        from: &str,
        days_and_rows: (u32, u32),
        seconds: f64,
    ) -> World {
        World::new(name, tenants).filled(tenants, &slow(seconds), from, days_and_rows)
    }

    /// Starts a backfill and lets it run beside the test.
    pub fn start_backfill(&self, args: &[&str]) -> Running {
        self.start(&[&["backfill", "--today", TODAY], args].concat())
    }

    /// Waits until the servers have noticed that nobody of ours is there any more: no session, no lock.
    #[track_caller]
    pub fn nobody_is_left(&self) {
        let others = "SELECT count(*) FROM pg_stat_activity \
             WHERE application_name = 'dayhaul' AND datname = current_database()";
        for database in self.tenants.iter().chain([&self.warehouse]) {
            wait_until("sessions of ours are gone", || database.one(others) == "0");
        }
        self.no_lock_is_left();
    }

    /// Waits until a run waits for a pair that another holds: it asks for the lock again and again, and nothing else.
    #[track_caller]
    pub fn a_run_waits(&self) {
        self.wait_for(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'dayhaul' AND query LIKE '%pg_try_advisory_lock(key)%')",
        );
    }

    /// Waits until no advisory lock of the warehouse is held: a session's end takes the server a moment.
    #[track_caller]
    pub fn no_lock_is_left(&self) {
        self.wait_for(
            "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        );
    }

    pub fn backfill(&self, args: &[&str]) -> Output {
        self.dayhaul(&[&["backfill", "--today", TODAY], args].concat())
    }

    /// (rows, sum of amount) that the reader sees in the public view.
    pub fn totals(&self) -> (String, String) {
        let rows = self.read("SELECT count(*), sum(amount) FROM public.event");
        (
            rows[0][0].clone().unwrap_or_default(),
            rows[0][1].clone().unwrap_or_default(),
        )
    }

    /// Asserts that nothing is left behind: no staging table or row, no advisory lock, no transaction of ours, and every
    /// loaded unit's rows where the ledger says they are.
    #[track_caller]
    pub fn is_clean(&self) {
        let w = &self.warehouse;
        let one = |sql: &str| w.one(sql);
        assert_eq!(one("SELECT count(*) FROM _wh.staged"), "0");
        assert_eq!(
            one("SELECT count(*) FROM pg_class WHERE relname LIKE '%staging%'"),
            "0"
        );
        self.no_lock_is_left();
        assert_eq!(
            w.rows(ONLY_IN_THE_DATABASE),
            Vec::<Vec<_>>::new(),
            "relations that the catalog does not know"
        );
        self.is_swept();
        let loaded = "FROM _wh.unit WHERE state = 'loaded' AND relation LIKE '%event%'";
        let tables: Vec<String> = w
            .rows(&format!("SELECT DISTINCT relation {loaded}"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|table| {
                format!(
                    "SELECT '{table}', (at AT TIME ZONE 'UTC')::date, count(*) FROM {table} GROUP BY 2"
                )
            })
            .collect();
        if !tables.is_empty() {
            let wrong = w.rows(&format!(
                "WITH there (relation, day, n) AS ({}) \
                 SELECT relation, day, rows, n FROM (SELECT relation, day, rows {loaded}) AS unit \
                 LEFT JOIN there USING (relation, day) WHERE rows <> coalesce(n, 0)",
                tables.join(" UNION ALL ")
            ));
            assert_eq!(
                wrong,
                Vec::<Vec<_>>::new(),
                "rows of the ledger, rows that are there"
            );
        }
    }
}

impl World {
    /// Asserts that nothing stands on the wrong side of a fold line, and no index of a barrier is left.
    #[track_caller]
    pub fn is_swept(&self) {
        let w = &self.warehouse;
        assert_eq!(
            w.one(
                "SELECT count(*) FROM _wh.relation r JOIN _wh.pair p USING (tenant, template) \
                 WHERE (kind = 'day' AND from_day < fold_line) OR (kind = 'year' AND from_day >= fold_line)"
            ),
            "0",
            "hidden tables"
        );
        for row in w.rows(
            "SELECT r.schema_name || '.' || r.name, fold_line FROM _wh.relation r \
             JOIN _wh.pair p USING (tenant, template) WHERE kind = 'year' AND r.template = 'event'",
        ) {
            let (table, line) = (row[0].clone().unwrap(), row[1].clone().unwrap());
            let sql = format!("SELECT count(*) FROM {table} WHERE at >= '{line} 00:00+00'");
            assert_eq!(w.one(&sql), "0", "{table} beyond {line}");
        }
        assert_eq!(
            w.one("SELECT count(*) FROM pg_index WHERE indrelid = to_regclass('_wh.barrier')"),
            "0"
        );
    }

    /// Waits until a query of the warehouse gives true.
    #[track_caller]
    pub fn wait_for(&self, sql: &str) {
        let begun = std::time::Instant::now();
        while self.warehouse.one(sql) != "t" {
            assert!(begun.elapsed().as_secs() < 20, "never true: {sql}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
