//! Passwords that are valid for seconds, and the service file: what psql would connect with.

use crate::support::events;
use crate::support::server::{self, Database};
use crate::support::world::World;
use dayhaul::cluster::{Cluster, Programs, THROW_AWAY};
use std::os::unix::fs::PermissionsExt;

const HBA: &str = "\
local all all trust
host  all postgres 127.0.0.1/32 trust
host  all all 127.0.0.1/32 scram-sha-256
";

/// A server whose logins, but for the superuser, need a password.
fn with_passwords(folder: &std::path::Path) -> Cluster {
    let cluster = Cluster::start(&Programs::find().unwrap(), folder, &THROW_AWAY).unwrap();
    std::fs::write(cluster.data_dir().join("pg_hba.conf"), HBA).unwrap();
    cluster.reload();
    cluster
}

/// A command that gives a role a new password, valid for `seconds`, and prints it.
fn token(world: &World, server: &str, role: &str, seconds: u32) -> String {
    let psql = Programs::find()
        .unwrap()
        .program("psql")
        .display()
        .to_string();
    let script = format!(
        "#!/bin/sh\necho x >> tokens\nt=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')\n\
         until=$({psql} -qAt '{server}' -c \"SELECT now() + interval '{seconds} s'\")\n\
         {psql} -qAt '{server}' -c \"ALTER ROLE {role} PASSWORD '$t' VALID UNTIL '$until'\" >/dev/null\necho $t\n"
    );
    let path = world.write("token", &script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    "cmd:./token".to_owned()
}

fn tokens(world: &World) -> usize {
    std::fs::read_to_string(world.folder().join("tokens"))
        .unwrap_or_default()
        .lines()
        .count()
}

/// Days that together take longer than a token is valid.
fn fill(source: &Database) {
    events::create(source);
    events::fill(source, "2024-03-01", 6, 2);
}

fn load_template(world: &World) {
    world.write("events.sql", &events::slow(0.6));
    world.dayhaul(&["template", "load", "events.sql"]).exits(0);
}

/// The tenant's sessions are closed while the run works, as a restart or a pooler does: the token that the run began with has
/// expired by then.
#[test]
fn a_token_of_seconds_outlives_the_run_because_it_is_read_for_each_session() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = with_passwords(folder.path());
    let world = World::new("token", &[]);
    let source = Database::of(&cluster);
    source.run("CREATE ROLE token_reader LOGIN");
    fill(&source);
    source.run("GRANT SELECT ON event TO token_reader");
    let reference = token(&world, &source.url(), "token_reader", 2);
    world.configure(&format!(
        "[load]\njobs = 1\n[secrets]\nallow = [\"{reference}\"]\n"
    ));
    world.dayhaul(&["init"]).exits(0);
    load_template(&world);
    let url = source.url_as("token_reader");
    let add = [
        "tenant",
        "add",
        "acme",
        "--url",
        &url,
        "--password",
        &reference,
    ];
    world
        .dayhaul(&[&add[..], &["--template", "events"]].concat())
        .exits(0);
    let before = tokens(&world);
    let running = world.start_backfill(&["--from", "2024-03-01", "--to", "2024-03-06"]);
    for _ in 0..2 {
        std::thread::sleep(std::time::Duration::from_millis(2500));
        source.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'token_reader'",
        );
    }
    running.output().exits(0);
    assert!(tokens(&world) > before + 1, "the command ran once");
    let rows = world.read("SELECT count(*) FROM public.events");
    assert_eq!(rows[0][0].as_deref(), Some("12"));
}

/// The warehouse's, too: a run ends with sessions that it opens last.
#[test]
fn a_token_of_the_warehouse_is_read_for_each_session() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = with_passwords(folder.path());
    let mut world = World::new("wtoken", &["acme"]).with_warehouse(&cluster);
    world.dayhaul(&["init"]).exits(0);
    let superuser = world.warehouse.url();
    world.warehouse.run(&format!(
        "CREATE ROLE token_loader LOGIN; GRANT \"{}\" TO token_loader; GRANT CREATE ON DATABASE postgres TO token_loader",
        world.owner
    ));
    let reference = token(&world, &superuser, "token_loader", 2);
    let loader = world.warehouse.url_as("token_loader");
    world.variables = vec![
        ("DAYHAUL_WAREHOUSE_URL".to_owned(), loader),
        ("DAYHAUL_WAREHOUSE_PASSWORD".to_owned(), reference),
    ];
    fill(&world.tenants[0]);
    load_template(&world);
    let url = world.tenants[0].url();
    let add = [
        "tenant",
        "add",
        "acme",
        "--url",
        &url,
        "--template",
        "events",
    ];
    world.dayhaul(&add).exits(0);
    let running = world.start_backfill(&["--from", "2024-03-01", "--to", "2024-03-06"]);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    // The workers' sessions; the one that holds the locks is not a passing matter.
    server::run(
        &superuser,
        "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE usename = 'token_loader' AND NOT EXISTS \
         (SELECT FROM pg_locks l WHERE l.pid = a.pid AND locktype = 'advisory')",
    );
    let output = running.output().exits(0);
    assert!(
        !output.stderr.contains("28P01") && !output.stderr.contains("password"),
        "{}",
        output.stderr
    );
}

/// As psql: the service wins over the environment and loses to the URL.
#[test]
fn a_service_leads_to_the_same_database_as_psql() {
    let mut world = World::new("service", &[]);
    let url = world.warehouse.url();
    let words: Vec<(String, String)> = {
        let rest = url.split_once("://").unwrap().1;
        let (user, rest) = rest.split_once('@').unwrap();
        let (host, name) = rest.split_once('/').unwrap();
        let (host, port) = host.rsplit_once(':').unwrap();
        let name = name.split('?').next().unwrap();
        [
            ("host", host),
            ("port", port),
            ("user", user),
            ("dbname", name),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
    };
    let section: String = words.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
    world.write(
        ".pg_service.conf",
        &format!("# ours\n[wh]\n{section}sslmode=disable\n"),
    );
    world.variables = vec![
        ("PGSERVICE".to_owned(), "wh".to_owned()),
        ("PGDATABASE".to_owned(), "nowhere".to_owned()),
        (
            "DAYHAUL_WAREHOUSE_URL".to_owned(),
            "postgresql:///".to_owned(),
        ),
    ];
    world.dayhaul(&["init"]).exits(0);
    let there = world
        .warehouse
        .one("SELECT count(*) FROM pg_namespace WHERE nspname = '_wh'");
    assert_eq!(there, "1");
    // What psql would honor and Dayhaul cannot is refused by name, before anything is asked.
    for (variable, value) in [
        ("PGOPTIONS", "-c role=nobody"),
        ("PGREQUIREAUTH", "scram-sha-256"),
    ] {
        let output =
            crate::support::world::Output::of(world.command(&["status"]).env(variable, value))
                .exits(2);
        assert!(
            output
                .stderr
                .contains(&format!("`{variable}` is not supported")),
            "{}",
            output.stderr
        );
    }
    world.variables[0].1 = "nobody".to_owned();
    let output = world.dayhaul(&["status"]).exits(2);
    assert!(
        output.stderr.contains("service `nobody` is not defined"),
        "{}",
        output.stderr
    );
}
