//! A source server gets no more sessions at once than `per_server`, and no more than its role may have.

use crate::support::events;
use crate::support::server::{self, Database, Holder};
use crate::support::world::{World, wait_until};
use dayhaul::cluster::Cluster;
use rustix::process::Signal;

const DAYS: u32 = 12;
const FEW: [&str; 5] = ["--from", "2024-03-05", "--to", "2024-03-16", "--json"];
const TEMPLATES: [&str; 4] = ["event", "second", "third", "fourth"];

/// A role that may have so many connections and read the events of `sources`, which share a server.
fn limited_role(limit: u32, sources: &[Database]) -> String {
    let role = format!("limited_{}", server::unique());
    sources[0].run(&format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT {limit}"
    ));
    for source in sources {
        events::create(source);
        events::fill(source, "2024-03-05", DAYS, 3);
        source.run(&format!("GRANT SELECT ON event TO {role}"));
    }
    role
}

fn load_templates(world: &World, text: &str) {
    world.dayhaul(&["init"]).ok();
    for name in TEMPLATES {
        let file = format!("templates/{name}.sql");
        world.write(&file, text);
        world.dayhaul(&["template", "load", &file]).ok();
    }
}

fn add(world: &World, tenant: &str, url: &str) {
    let mut add = vec!["tenant", "add", tenant, "--url", url];
    for name in TEMPLATES {
        add.extend(["--template", name]);
    }
    world.dayhaul(&add).ok();
}

/// Two tenants on one server, whose role may have `limit` connections.
fn world_with_limit(name: &str, limit: u32, per_server: u32) -> (World, String) {
    let world = World::new(name, &["acme", "bolt"]);
    world.configure(&format!("[load]\njobs = 4\nper_server = {per_server}\n"));
    let role = limited_role(limit, &world.tenants);
    load_templates(&world, &events::one_day_windows(events::TEMPLATE));
    for (tenant, source) in ["acme", "bolt"].into_iter().zip(&world.tenants) {
        add(&world, tenant, &source.url_as(&role));
    }
    (world, role)
}

/// Every command that reads sources succeeds, and tries nothing twice for want of a connection.
#[track_caller]
fn all_commands_succeed(world: &World) {
    let report = world.backfill(&FEW).ok().json();
    assert_eq!(report["totals"]["loaded"], DAYS * 8, "{report}");
    world.dayhaul(&["verify"]).ok();
    for source in &world.tenants {
        source.run("UPDATE event SET amount = amount + 1");
    }
    let refresh = [&["refresh", "--today", events::TODAY], &FEW[..]].concat();
    let report = world.dayhaul(&refresh).ok().json();
    assert_eq!(report["totals"]["failed"], 0, "{report}");
    world.dayhaul(&["verify"]).ok();
    world.dayhaul(&["sync", "--today", events::TODAY]).ok();
    world.dayhaul(&["tenant", "test", "--all"]).ok();
    for (tenant, source) in ["acme", "bolt"].into_iter().zip(&world.tenants) {
        let there = source.rows("SELECT count(*), sum(amount)::numeric(12,2) FROM event");
        let here = world.read(&format!(
            "SELECT count(*), sum(amount)::numeric(12,2) FROM {tenant}.event"
        ));
        assert_eq!(here, there, "{tenant}");
    }
    world.is_clean();
}

#[test]
fn a_role_with_one_connection_serves_every_command() {
    let (world, _) = world_with_limit("limit_one", 1, 1);
    all_commands_succeed(&world);
    let again = world
        .warehouse
        .one("SELECT count(*) FROM _wh.attempt WHERE tries > 1");
    assert_eq!(again, "0");
}

#[test]
fn a_role_with_two_connections_serves_four_workers() {
    let (world, _) = world_with_limit("limit_two", 2, 2);
    all_commands_succeed(&world);
}

#[test]
fn a_server_that_allows_fewer_than_per_server_gets_fewer() {
    let (world, _) = world_with_limit("limit_fewer", 1, 3);
    all_commands_succeed(&world);
}

#[test]
fn one_session_for_each_of_two_servers_moves_both() {
    let (_folder, cluster) = server::own(("max_connections", "30"));
    let mut world = World::new("two_servers", &["acme"]);
    world.configure("[load]\njobs = 4\nper_server = 1\n");
    world.tenants.push(other_server(&cluster));
    load_templates(&world, &events::one_day_windows(events::TEMPLATE));
    for (tenant, source) in ["acme", "bolt"].into_iter().zip(&world.tenants) {
        let role = limited_role(1, std::slice::from_ref(source));
        add(&world, tenant, &source.url_as(&role));
    }
    all_commands_succeed(&world);
}

fn other_server(cluster: &Cluster) -> Database {
    Database::created_in(cluster, "other")
}

/// The role's only connection, until it is dropped. The server may still count the one that was there just now.
fn only_connection(source: &Database, role: &str) -> tokio_postgres::Client {
    let mut client = None;
    wait_until("the role has a connection left", || {
        client = server::block_on(server::connect(&source.url_as(role))).ok();
        client.is_some()
    });
    client.expect("a connection")
}

#[test]
fn a_connection_that_another_client_has_is_waited_for() {
    let (world, role) = world_with_limit("limit_taken", 1, 1);
    let other = only_connection(&world.tenants[0], &role);
    let run = world.start_backfill(&FEW);
    std::thread::sleep(std::time::Duration::from_secs(3));
    drop(other);
    let report = run.output().ok().json();
    assert_eq!(report["totals"]["loaded"], DAYS * 8, "{report}");
    world.is_clean();
}

#[test]
fn a_run_whose_workers_wait_for_a_session_ends_when_told_to() {
    let world = World::new("limit_stop", &["acme"]);
    world.configure("[load]\njobs = 4\nper_server = 1\n");
    let source = &world.tenants[0];
    let role = limited_role(1, std::slice::from_ref(source));
    load_templates(&world, &events::gated());
    source.run(&format!(
        "GRANT CONNECT ON DATABASE \"{}\" TO {role}",
        source.name
    ));
    add(&world, "acme", &source.url_as(&role));
    let closed: Holder = events::close(source);
    let run = world.start_backfill(&FEW);
    wait_until("the only session waits at the source", || {
        source.one(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' AND wait_event = 'advisory'"
        )) == "1"
    });
    run.signal(Signal::TERM);
    run.output().exits(130);
    closed.let_go();
    world.no_lock_is_left();
}

/// Sessions of a role, and how many of them wait at the closed gate.
fn sessions(source: &Database, role: &str) -> (String, String) {
    let count = |more: &str| {
        source.one(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' {more}"
        ))
    };
    (count(""), count("AND wait_event = 'advisory'"))
}

#[test]
fn no_more_sessions_are_opened_than_per_server_though_the_role_may_have_any_number() {
    let world = World::new("limit_none", &["acme", "bolt"]);
    world.configure("[load]\njobs = 4\nper_server = 2\n");
    let role = limited_role(50, &world.tenants);
    load_templates(&world, &events::gated());
    for (tenant, source) in ["acme", "bolt"].into_iter().zip(&world.tenants) {
        add(&world, tenant, &source.url_as(&role));
    }
    let all = ["--from", "2024-03-05", "--to", "2024-03-16"];
    let refresh = [&["refresh", "--today", events::TODAY], &all[..]].concat();
    let backfill = [&["backfill", "--today", events::TODAY], &all[..]].concat();
    for command in [&backfill[..], &refresh[..], &["verify"]] {
        let closed: Vec<Holder> = world.tenants.iter().map(events::close).collect();
        let run = world.start(command);
        let two_wait = || {
            let waiting = |source| sessions(source, &role).1.parse::<u32>().unwrap();
            waiting(&world.tenants[0]) == 2
        };
        wait_until("two sessions wait at the source", two_wait);
        // Whoever opened one more would have done so by now.
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert_eq!(sessions(&world.tenants[0], &role).0, "2", "{command:?}");
        closed.into_iter().for_each(Holder::let_go);
        run.output().ok();
    }
    world.is_clean();
}
