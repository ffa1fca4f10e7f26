//! A tenant that changes its tables during a load waits for the windows that are being read, and for no others.

use crate::support::events;
use crate::support::server;
use crate::support::world::{World, wait_until};

#[test]
fn an_alter_table_gets_its_turn_between_windows() {
    let world = World::new("migrations", &["acme"]);
    let world = world.filled(&["acme"], &events::gated(), "2024-03-08", (12, 5));
    let source = &world.tenants[0];
    let closed = events::close(source);
    let run = world.start_backfill(&["--from", "2024-03-08", "--to", "2024-03-19"]);
    let waiting = |what: &str| {
        source.one(&format!(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
             WHERE d.datname = current_database() AND NOT l.granted AND l.{what}"
        ))
    };
    wait_until("windows are being read", || {
        waiting("locktype = 'advisory'") != "0"
    });
    let url = source.url();
    let altered = std::thread::spawn(move || {
        server::run(&url, "ALTER TABLE event ADD COLUMN extra int DEFAULT 7");
    });
    wait_until("the ALTER TABLE waits", || {
        waiting("mode = 'AccessExclusiveLock'") != "0"
    });
    closed.let_go();
    altered.join().expect("the table is altered");
    run.output().ok();
    assert_eq!(world.totals().0, "60");
    world.dayhaul(&["verify"]).ok();
}
