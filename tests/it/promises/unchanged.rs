//! A refresh of what has not changed leaves no trace in the warehouse but in the ledger: not in a table, an index or a
//! catalog, by the write-ahead log's own account.

use crate::support::events;
use crate::support::server::{self, Database};
use crate::support::world::World;
use dayhaul::cluster::Cluster;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

struct Fixture {
    world: World,
    cluster: Cluster,
    _dir: tempfile::TempDir,
}

/// Every record of an interval of the log: for relations by name, for others by kind.
type Records = BTreeMap<String, usize>;

impl Fixture {
    fn new(name: &str) -> Fixture {
        let (dir, cluster) = server::own(("autovacuum", "off"));
        let both = ["acme", "beta"];
        let world = World::new(name, &both).with_warehouse(&cluster);
        let world = world.filled(&both, events::TEMPLATE, "2024-02-20", (30, 10));
        world
            .backfill(&["--from", "2024-02-20", "--to", events::TODAY])
            .ok();
        Fixture {
            world,
            cluster,
            _dir: dir,
        }
    }

    /// What `work` writes. Reading may tidy up pages after those who wrote before: that is done already.
    fn written_by(&self, work: impl FnOnce(&World)) -> Records {
        let warehouse = &self.world.warehouse;
        warehouse.run("VACUUM (FREEZE)");
        warehouse.run("CHECKPOINT");
        let before = warehouse.one("SELECT pg_current_wal_insert_lsn()");
        work(&self.world);
        let after = warehouse.one("SELECT pg_switch_wal()");
        let out = Command::new(self.cluster.programs().program("pg_waldump"))
            .arg("-p")
            .arg(self.cluster.data_dir().join("pg_wal"))
            .args(["-s", &before, "-e", &after])
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        records(warehouse, &String::from_utf8_lossy(&out.stdout))
    }

    fn tuples(&self) -> String {
        let sql = "SELECT format('%s/%s/%s', sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_del)) \
             FROM pg_stat_all_tables WHERE schemaname NOT IN ('_wh', 'pg_catalog', 'pg_toast')";
        let others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dayhaul'";
        // Sessions send what they counted when they end.
        crate::support::world::wait_until("nobody is left", || {
            self.world.warehouse.one(others) == "0"
        });
        self.world.warehouse.one(sql)
    }
}

fn records(database: &Database, dump: &str) -> Records {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut records = Records::new();
    for line in dump.lines() {
        let (_, rest) = line.split_once("rmgr: ").expect(line);
        let manager = rest.split_whitespace().next().unwrap();
        let relations: BTreeSet<&str> = line
            .split(" rel ")
            .skip(1)
            .filter_map(|rest| rest.split([' ', ',', ';']).next())
            .collect();
        for file in &relations {
            let name = names
                .entry((*file).to_owned())
                .or_insert_with(|| relation(database, file));
            *records.entry(name.clone()).or_default() += 1;
        }
        if relations.is_empty() {
            *records.entry(format!("({manager})")).or_default() += 1;
        }
    }
    records
}

/// `schema.relation` of a file `tablespace/database/number`; a TOAST table goes by its table's name.
fn relation(database: &Database, file: &str) -> String {
    let parts: Vec<&str> = file.split('/').collect();
    let rows = database.rows(&format!(
        "WITH r AS (SELECT pg_filenode_relation({}, {}) AS oid), \
              t AS (SELECT coalesce(i.indrelid, r.oid) AS oid FROM r LEFT JOIN pg_index i ON i.indexrelid = r.oid) \
         SELECT n.nspname || '.' || c.relname FROM t LEFT JOIN pg_class owner ON owner.reltoastrelid = t.oid \
         JOIN pg_class c ON c.oid = coalesce(owner.oid, t.oid) JOIN pg_namespace n ON n.oid = c.relnamespace",
        parts[0], parts[2]
    ));
    match rows.first() {
        Some(row) => row[0].clone().unwrap(),
        None => format!("unknown {file}"),
    }
}

#[track_caller]
fn only_the_ledger(records: &Records) {
    let harmless = ["(Transaction)", "(Standby)", "(XLOG)"];
    let others: Vec<_> = records
        .iter()
        .filter(|(name, _)| !name.starts_with("_wh.") && !harmless.contains(&name.as_str()))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(records.contains_key("_wh.unit"), "{records:?}");
}

#[test]
fn an_unchanged_refresh_writes_into_the_ledger_alone() {
    let fixture = Fixture::new("unchanged_wal");
    let before = fixture.tuples();
    let records = fixture.written_by(|world| {
        let all = ["refresh", "--from", "2024-02-20", "--to", events::TODAY];
        let report = world
            .dayhaul(&[&all[..], &["--json", "--today", events::TODAY]].concat())
            .ok()
            .json();
        assert_eq!(report["totals"]["unchanged"], 60, "{report}");
    });
    only_the_ledger(&records);
    assert_eq!(fixture.tuples(), before);
}

#[test]
fn an_unchanged_sync_writes_into_the_ledger_alone() {
    let fixture = Fixture::new("unchanged_sync");
    let sync = ["sync", "--json", "--today", events::TODAY];
    fixture.world.dayhaul(&sync).ok();
    let before = fixture.tuples();
    let records = fixture.written_by(|world| {
        let report = world.dayhaul(&sync).ok().json();
        assert_eq!(report["totals"]["changed"], 0, "{report}");
        assert_eq!(report["totals"]["loaded"], 0, "{report}");
    });
    only_the_ledger(&records);
    assert_eq!(fixture.tuples(), before);
}

#[test]
fn a_changed_row_is_seen_in_the_log() {
    let fixture = Fixture::new("changed_wal");
    fixture.world.tenants[0].run("UPDATE event SET amount = 77 WHERE id = 5");
    let records = fixture.written_by(|world| {
        let day = ["refresh", "--from", "2024-02-20", "--to", "2024-02-20"];
        world
            .dayhaul(&[&day[..], &["--today", events::TODAY]].concat())
            .ok();
    });
    assert!(records.contains_key("acme.event_2024"), "{records:?}");
    assert!(
        !records
            .keys()
            .any(|name| name.starts_with("beta.") || name.starts_with("acme.event_2024_")),
        "{records:?}"
    );
}
