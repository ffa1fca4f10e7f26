//! Whatever settings the warehouse's login has, our statements end, and what conflicts is tried again.

use crate::support::events::{self, TODAY};
use crate::support::login::set;
use crate::support::server;
use crate::support::world::World;
use dayhaul::pg::{self, Access, Password, Purpose, Url};

/// A login of the warehouse that may do all, with settings of its own.
fn with_login(world: &World, settings: &[(&str, &str)]) -> String {
    let login = format!("login_{}", server::unique());
    world
        .warehouse
        .run(&format!("CREATE ROLE \"{login}\" LOGIN CREATEROLE"));
    world.warehouse.run(&format!(
        "ALTER DATABASE \"{}\" OWNER TO \"{login}\"; GRANT CREATE ON SCHEMA public TO \"{login}\"",
        world.warehouse.name
    ));
    set(&world.warehouse, &login, settings);
    world.write(
        "dayhaul.toml",
        &format!(
            "[warehouse]\nurl = \"{}\"\nowner_role = \"{}\"\nreader_role = \"{}\"\n",
            world.warehouse.url_as(&login),
            world.owner,
            world.reader
        ),
    );
    login
}

/// Loads, compares, changes, folds, rebuilds and verifies slow events.
fn everything_works(name: &str, settings: &[(&str, &str)]) -> World {
    let world = World::new(name, &["acme"]);
    let source = world.tenants[0].clone();
    events::create(&source);
    events::fill(&source, "2024-03-01", 12, 3);
    with_login(&world, settings);
    world.set_up_events(&["acme"], &events::slow(0.1));
    let days = ["--from", "2024-03-01", "--to", "2024-03-12"];
    world.backfill(&days).ok();
    source.run("UPDATE event SET amount = amount + 1 WHERE id % 5 = 0");
    let refresh = ["refresh", "--today", TODAY];
    world.dayhaul(&[&refresh[..], &days].concat()).ok();
    world.dayhaul(&["fold", "--today", TODAY]).ok();
    world.dayhaul(&["sync", "--today", TODAY]).ok();
    let rebuild = ["rebuild", "--year", "2024", "--today", TODAY];
    world.dayhaul(&rebuild).ok();
    world.dayhaul(&["verify"]).ok();
    assert_eq!(world.totals().0, "36");
    world
}

#[test]
fn a_logins_time_limits_do_not_end_our_statements() {
    let newer = server::version() >= 170_000;
    let transaction = ("transaction_timeout", "'250ms'");
    let mut limits = vec![
        ("statement_timeout", "'250ms'"),
        ("lock_timeout", "'1ms'"),
        ("idle_in_transaction_session_timeout", "'50ms'"),
        ("idle_session_timeout", "'250ms'"),
    ];
    limits.extend(newer.then_some(transaction));
    everything_works("login_limits", &limits);
}

#[test]
fn a_logins_isolation_and_read_only_default_do_not_reach_us() {
    let world = everything_works(
        "login_isolation",
        &[
            ("default_transaction_isolation", "'serializable'"),
            ("default_transaction_read_only", "on"),
            ("default_transaction_deferrable", "on"),
            ("quote_all_identifiers", "on"),
            ("standard_conforming_strings", "off"),
            ("array_nulls", "off"),
            ("exit_on_error", "on"),
            ("DateStyle", "'German'"),
        ],
    );
    world.is_swept();
}

#[test]
fn a_session_in_the_warehouse_has_our_settings() {
    let world = World::new("login_session", &[]);
    let odd = [
        ("statement_timeout", "'1min'"),
        ("lock_timeout", "'1min'"),
        ("idle_in_transaction_session_timeout", "'1min'"),
        ("idle_session_timeout", "'1min'"),
        ("default_transaction_isolation", "'serializable'"),
        ("default_transaction_deferrable", "on"),
        ("default_transaction_read_only", "on"),
    ];
    let login = with_login(&world, &odd);
    let access = Access::new(
        Url::parse(&world.warehouse.url_as(&login)).unwrap(),
        Password::default(),
    );
    let session = server::block_on(pg::connect(&access, Purpose::Warehouse)).unwrap();
    let ours = ["0", "0", "0", "0", "read committed", "off", "off"];
    for ((name, _), ours) in odd.iter().zip(ours) {
        let shown = server::block_on(session.simple(&format!("SHOW {name}"))).unwrap();
        assert_eq!(shown.value(0, 0), Some(ours), "{name}");
    }
}

#[test]
fn a_database_that_an_administrator_made_read_only_is_left_so() {
    let world = World::with_events("login_frozen", &["acme"], "2024-03-01", 2, 3);
    world.warehouse.run(&format!(
        "ALTER DATABASE \"{}\" SET default_transaction_read_only = on",
        world.warehouse.name
    ));
    let out = world.dayhaul(&["tenant", "disable", "acme"]).exits(1);
    assert!(out.stderr.contains("read-only"), "{out:?}");
    assert!(
        out.stderr.contains("default_transaction_read_only"),
        "{out:?}"
    );
    world.warehouse.run(&format!(
        "BEGIN READ WRITE; ALTER DATABASE \"{}\" RESET default_transaction_read_only; COMMIT",
        world.warehouse.name
    ));
    world.dayhaul(&["tenant", "disable", "acme"]).ok();
}

/// Makes the first `times` changes of a catalog's table (`"UPDATE ON _wh.pair"`) end in a serialization failure.
fn conflicts(world: &World, changes: &str, when: &str, times: u32) {
    world.warehouse.run(&format!(
        "CREATE SEQUENCE public.conflicts; GRANT ALL ON SEQUENCE public.conflicts TO PUBLIC; \
         CREATE FUNCTION public.conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('public.conflicts') <= {times} THEN \
                 RAISE SQLSTATE '40001' USING MESSAGE = 'could not serialize access'; \
             END IF; \
             RETURN NEW; \
         END $$; \
         CREATE TRIGGER conflict BEFORE {changes} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION public.conflict()"
    ));
}

/// How often a conflict was met, and passed.
#[track_caller]
fn conflicted(world: &World, times: u32) {
    let tries = world
        .warehouse
        .one("SELECT last_value FROM public.conflicts");
    let tries: u32 = tries.parse().unwrap();
    assert!(tries > times, "{tries} tries");
    world
        .warehouse
        .run("DROP FUNCTION public.conflict() CASCADE; DROP SEQUENCE public.conflicts");
}

#[test]
fn a_serialization_failure_of_a_fold_a_reveal_or_a_sync_is_tried_again() {
    let world = World::with_events("serialization", &["acme"], "2023-12-20", 40, 3);
    // The reveal of a year records its table.
    world.dayhaul(&["init"]).ok();
    conflicts(&world, "INSERT OR UPDATE ON _wh.relation", "true", 3);
    world
        .backfill(&["--from", "2023-12-20", "--to", "2024-01-28"])
        .ok();
    conflicted(&world, 3);
    // What a sync notes of a pair first is a statement of its own; the fold moves the pair's line with the view.
    let line = || world.warehouse.one("SELECT fold_line FROM _wh.pair");
    let moves = "OLD.fold_line IS DISTINCT FROM NEW.fold_line";
    for (command, today, when, times) in [
        ("sync", "2024-03-22", "true", 2),
        ("sync", "2024-03-24", moves, 3),
        ("fold", "2024-03-26", moves, 3),
    ] {
        let before = line();
        conflicts(&world, "UPDATE ON _wh.pair", when, times);
        world.dayhaul(&[command, "--today", today]).ok();
        conflicted(&world, times);
        assert_ne!(line(), before, "{command}");
    }
    world.dayhaul(&["verify"]).ok();
    assert_eq!(world.totals().0, "120");
}
