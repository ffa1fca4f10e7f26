//! `kill -9` at random moments, and what must hold after it.

use crate::support::random::Random;
use crate::support::world::World;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Kills commands at random moments of the time that they take.
pub struct Killer {
    random: Random,
    whole: Duration,
    kills: u32,
    /// Kills that came too late.
    late: u32,
}

impl Killer {
    pub fn new() -> Killer {
        Killer {
            random: Random::new(),
            whole: Duration::ZERO,
            kills: 0,
            late: 0,
        }
    }

    /// Runs the command that is to be killed, where it has all to do, to see how long it takes.
    #[track_caller]
    pub fn time(&mut self, world: &World, args: &[&str]) {
        let begun = Instant::now();
        world.dayhaul(args).ok();
        self.takes(begun.elapsed());
    }

    /// How long the commands take that are to be killed.
    pub fn takes(&mut self, whole: Duration) {
        self.whole = whole;
    }

    /// Runs a command and kills it. Servers may take a moment more to notice.
    pub fn kill(&mut self, world: &World, args: &[&str]) {
        let after = self.random.part_of(self.whole);
        let mut run = world.start(args);
        std::thread::sleep(after);
        self.kills += 1;
        if run.is_over() {
            self.late += 1;
            // It took less. Not always, perhaps: a fold waits for readers now shorter, now longer.
            self.whole = (self.whole + after) / 2;
        }
        run.signal(Signal::KILL);
    }

    /// Asserts that the command was not over each time: how long it takes changes with what else the machine does.
    #[track_caller]
    pub fn was_in_time(&self) {
        let Killer { kills, late, .. } = self;
        println!("{late} of {kills} kills came too late");
        assert!(late < kills, "all kills came too late");
    }
}

/// Relations that the catalog has and the database has not.
pub const ONLY_IN_THE_CATALOG: &str = "SELECT schema_name, name, kind FROM _wh.relation \
    WHERE to_regclass(format('%I.%I', schema_name, name)) IS NULL";

/// Tables and views that the catalog does not know.
pub const ONLY_IN_THE_DATABASE: &str = "SELECT c.oid::regclass::text FROM pg_class c \
    JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE relkind IN ('r', 'v') AND nspname NOT IN ('_wh', 'pg_catalog', 'information_schema') AND \
    NOT EXISTS (SELECT FROM _wh.relation r WHERE r.schema_name = nspname AND r.name = relname)";

/// What an index build left.
pub const UNFINISHED_INDEXES: &str = "SELECT indexrelid::regclass::text FROM pg_index \
    WHERE NOT indisvalid OR NOT indisready OR NOT indislive";

/// What a kill could leave behind, each as a query that finds none of it. `{owner}` and `{reader}` are the roles'
/// names, `{ours}` says that a namespace `n` is neither the catalog's nor the server's.
pub const LEFT_BEHIND: [(&str, &str); 10] = [
    (
        "tables on their way in or out",
        "SELECT schema_name, name, kind FROM _wh.relation WHERE kind IN ('staging', 'retired')",
    ),
    (
        "relations that the catalog has and the database has not",
        ONLY_IN_THE_CATALOG,
    ),
    ("what an index build left", UNFINISHED_INDEXES),
    // The barrier's table stays, empty and without an index.
    (
        "what a barrier left",
        "SELECT relname FROM pg_class WHERE relnamespace = '_wh'::regnamespace \
         AND relname LIKE '%barrier%' AND relname <> 'barrier' \
         UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = to_regclass('_wh.barrier')",
    ),
    (
        "indexes under another table's name",
        "SELECT indexrelid::regclass, indrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace \
         WHERE {ours} AND c.relname !~ ('^' || t.relname || '_i[0-9]+$')",
    ),
    (
        "loaded tables without one of their indexes",
        "SELECT relation, keys FROM (SELECT DISTINCT relation FROM _wh.unit WHERE state = 'loaded') AS loaded, \
           LATERAL (SELECT string_agg(pg_get_indexdef(indexrelid, 1, true), ' ' ORDER BY indexrelid::regclass::text) AS keys \
                    FROM pg_index WHERE indrelid = relation::regclass) AS indexes \
         WHERE keys IS DISTINCT FROM 'id at note'",
    ),
    (
        "relations with other rights than their owner's and the reader's",
        "SELECT c.oid::regclass, c.relowner::regrole, c.relacl FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, \
           LATERAL (SELECT acldefault('r', '{owner}'::regrole) \
                           || makeaclitem('{reader}'::regrole, '{owner}'::regrole, 'SELECT', false) AS acl) AS right_ones \
         WHERE {ours} AND c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') \
         AND (c.relowner = '{owner}'::regrole AND c.relacl @> acl AND acl @> c.relacl) IS NOT TRUE",
    ),
    (
        "columns with rights of their own",
        "SELECT attrelid::regclass, attname, attacl FROM pg_attribute JOIN pg_class c ON c.oid = attrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {ours} AND attacl IS NOT NULL",
    ),
    (
        "schemas with other rights than their owner's and the reader's",
        "SELECT n.nspname, n.nspowner::regrole, n.nspacl FROM pg_namespace n, \
           LATERAL (SELECT acldefault('n', '{owner}'::regrole) \
                           || makeaclitem('{reader}'::regrole, '{owner}'::regrole, 'USAGE', false) AS acl) AS right_ones \
         WHERE {ours} AND n.nspname <> 'public' \
         AND (n.nspowner = '{owner}'::regrole AND n.nspacl @> acl AND acl @> n.nspacl) IS NOT TRUE",
    ),
    (
        "rights on the catalog",
        "SELECT n.nspname, n.nspacl::text FROM pg_namespace n WHERE n.nspname = '_wh' AND n.nspacl IS NOT NULL \
         UNION ALL SELECT c.relname, c.relacl::text FROM pg_class c \
         WHERE c.relnamespace = '_wh'::regnamespace AND c.relacl IS NOT NULL",
    ),
];

impl World {
    /// Asserts all that must hold when commands have ended, and when one was killed and has been run again: source,
    /// warehouse and ledger agree, and no table, index, session, lock or grant is left over. `template` is the events' as
    /// they were loaded, `verify` what is to be verified.
    #[track_caller]
    pub fn all_is_well(&self, template: &str, verify: &[&str]) {
        self.dayhaul(&[&["verify"], verify].concat()).ok();
        self.nobody_is_left();
        self.is_clean();
        self.digests_hold("event", template);
        assert_eq!(self.left_behind(), []);
    }

    /// What a kill left, each with the rows that say so.
    pub fn left_behind(&self) -> Vec<(&'static str, Vec<Vec<Option<String>>>)> {
        let ours = "n.nspname NOT IN ('_wh', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'";
        let found = LEFT_BEHIND.map(|(what, sql)| {
            let sql = sql
                .replace("{owner}", &self.owner)
                .replace("{reader}", &self.reader)
                .replace("{ours}", ours);
            (what, self.warehouse.rows(&sql))
        });
        found
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .collect()
    }
}
