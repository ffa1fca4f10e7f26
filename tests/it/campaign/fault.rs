//! What breaks: the program, sessions, the network, servers, locks.

use super::command::index;
use super::stage::Stage;
use crate::support::random::Random;
use crate::support::server::{Database, Holder, run};
use crate::support::switch::{State, Switch};
use crate::support::world::Running;
use dayhaul::cluster::Stop;
use rustix::process::Signal;
use std::time::Duration;

pub struct Fault {
    pub name: &'static str,
    /// Only ends the program: it has no failure of its own to report.
    pub is_signal: bool,
    /// Readers get errors that are not the program's doing.
    pub hurts_readers: bool,
    pub strike: fn(&mut Stage, &Running, &mut Random),
}

const fn fault(name: &'static str, strike: fn(&mut Stage, &Running, &mut Random)) -> Fault {
    Fault {
        name,
        is_signal: false,
        hurts_readers: false,
        strike,
    }
}

const fn signal(name: &'static str, strike: fn(&mut Stage, &Running, &mut Random)) -> Fault {
    Fault {
        is_signal: true,
        ..fault(name, strike)
    }
}

const fn for_readers_too(
    name: &'static str,
    strike: fn(&mut Stage, &Running, &mut Random),
) -> Fault {
    Fault {
        hurts_readers: true,
        ..fault(name, strike)
    }
}

pub const SIGTERM: Fault = signal("SIGTERM", |_, run, _| run.signal(Signal::TERM));

pub const FAULTS: [Fault; 27] = [
    fault("kill -9", |_, run, _| run.signal(Signal::KILL)),
    SIGTERM,
    signal("SIGINT", |_, run, _| run.signal(Signal::INT)),
    fault("two signals", |_, run, random| {
        run.signal(Signal::TERM);
        std::thread::sleep(random.part_of(Duration::from_millis(300)));
        run.signal(Signal::INT);
    }),
    fault("frozen for a while", |_, run, _| {
        run.signal(Signal::STOP);
        pause();
        run.signal(Signal::CONT);
    }),
    fault("source backend terminated", |stage, _, _| {
        backend(&stage.source_url(), "pg_terminate_backend");
    }),
    fault("source statement canceled", |stage, _, _| {
        backend(&stage.source_url(), "pg_cancel_backend");
    }),
    fault("warehouse backend terminated", |stage, _, _| {
        backend(&stage.warehouse_url(), "pg_terminate_backend");
    }),
    fault("warehouse statement canceled", |stage, _, _| {
        backend(&stage.warehouse_url(), "pg_cancel_backend");
    }),
    fault("source cut off", |stage, _, _| stage.to_source.cut()),
    fault("warehouse cut off", |stage, _, _| stage.to_warehouse.cut()),
    fault("source stalls", |stage, _, _| {
        for_a_while(&stage.to_source, State::Stalled);
    }),
    fault("warehouse stalls", |stage, _, _| {
        for_a_while(&stage.to_warehouse, State::Stalled);
    }),
    fault("source ends in the middle of a message", |stage, _, _| {
        for_a_while(&stage.to_source, State::Halved);
    }),
    fault(
        "warehouse ends in the middle of a message",
        |stage, _, _| {
            for_a_while(&stage.to_warehouse, State::Halved);
        },
    ),
    fault("source refuses", |stage, _, _| {
        stage.to_source.cut();
        for_a_while(&stage.to_source, State::Refused);
    }),
    fault("warehouse refuses", |stage, _, _| {
        stage.to_warehouse.cut();
        for_a_while(&stage.to_warehouse, State::Refused);
    }),
    fault("source server crashes", |stage, _, _| {
        stage.source.stop(Stop::Immediate).unwrap();
        stage.source.restart().unwrap();
    }),
    fault("source server restarts", |stage, _, _| {
        stage.source.restart().unwrap();
    }),
    for_readers_too("warehouse server crashes", |stage, _, _| {
        stage.warehouse.stop(Stop::Immediate).unwrap();
        stage.warehouse.restart().unwrap();
    }),
    for_readers_too("warehouse server restarts", |stage, _, _| {
        stage.warehouse.restart().unwrap();
    }),
    for_readers_too("somebody locks a view", |stage, _, random| {
        let views = ["alpha.event", "beta.visit", "public.event"];
        held(
            &stage.world.warehouse,
            views[index(random, views.len())],
            "ACCESS EXCLUSIVE",
        );
    }),
    fault("somebody locks the catalog", |stage, _, random| {
        let tables = [
            "_wh.unit",
            "_wh.relation",
            "_wh.run",
            "_wh.lease",
            "pg_catalog.pg_attrdef",
        ];
        held(
            &stage.world.warehouse,
            tables[index(random, tables.len())],
            "SHARE ROW EXCLUSIVE",
        );
    }),
    fault("somebody locks a source table", |stage, _, random| {
        let source = stage.tenant(random).clone();
        held(&source, "event", "ACCESS EXCLUSIVE");
    }),
    fault("a second loader", |stage, _, _| {
        let args = [
            "sync",
            "--today",
            super::sources::TODAY,
            "--if-locked",
            "ok",
        ];
        let output = stage.world.dayhaul(&args);
        assert!([0, 1].contains(&output.code), "{output:?}");
    }),
    fault("a source lets nobody in", |stage, _, random| {
        let name = &stage.tenant(random).name;
        let url = stage.source_url();
        run(
            &url,
            &format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS false"),
        );
        backend(&url, "pg_terminate_backend");
        pause();
        run(
            &url,
            &format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS true"),
        );
    }),
    fault("an old snapshot", |stage, _, _| {
        let old = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class";
        let snapshot = Holder::new(&stage.world.warehouse, old);
        pause();
        snapshot.let_go();
    }),
];

fn pause() {
    std::thread::sleep(Duration::from_millis(700));
}

fn for_a_while(switch: &Switch, state: State) {
    switch.set(state);
    pause();
    switch.set(State::Open);
}

/// Does something to one of the program's backends.
fn backend(url: &str, what: &str) {
    run(
        url,
        &format!(
            "SELECT {what}(pid) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = 'dayhaul' \
             ORDER BY random() LIMIT 1) AS a"
        ),
    );
}

/// Holds a table for a while, if it is there and free.
fn held(database: &Database, table: &str, mode: &str) {
    let there = database.one(&format!("SELECT to_regclass('{table}') IS NOT NULL"));
    if there == "t" {
        let lock = format!("SET LOCAL lock_timeout = '5s'; LOCK TABLE {table} IN {mode} MODE");
        let holder = Holder::new(database, &lock);
        pause();
        holder.let_go();
    }
}
