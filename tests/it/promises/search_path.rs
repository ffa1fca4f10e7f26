//! Where a tenant's queries find their tables is the tenant's own, and never changes without a person.

use crate::support::earlier_catalog;
use crate::support::events::{self, TEMPLATE, TODAY};
use crate::support::login::{reader, set};
use crate::support::server::Database;
use crate::support::world::{Output, World};

const DAYS: [&str; 4] = ["--from", "2024-03-01", "--to", "2024-03-05"];

/// A source with events in two schemas: five days of four in `public`, of seven in `t`; and the template.
fn world(name: &str) -> World {
    let world = World::new(name, &["acme"]);
    two_schemas(&world.tenants[0]);
    world.dayhaul(&["init"]).ok();
    world.write("event.sql", TEMPLATE);
    world.dayhaul(&["template", "load", "event.sql"]).ok();
    world
}

fn two_schemas(source: &Database) {
    source.run("CREATE SCHEMA t");
    events::create(source);
    events::fill(source, "2024-03-01", 5, 7);
    source.run("ALTER TABLE event SET SCHEMA t");
    events::create(source);
    events::fill(source, "2024-03-01", 5, 4);
}

fn add(world: &World, name: &str, url: &str, more: &[&str]) -> Output {
    let args = ["tenant", "add", name, "--url", url, "--template", "event"];
    world.dayhaul(&[&args[..], more].concat())
}

fn run(world: &World, command: &str) -> Output {
    world.dayhaul(&[&[command, "--today", TODAY], &DAYS[..]].concat())
}

fn tenant(world: &World, name: &str) -> serde_json::Value {
    let shown = world.dayhaul(&["tenant", "show", name, "--json"]).ok();
    shown.json()["tenant"].clone()
}

#[test]
fn the_logins_path_is_recorded_and_a_change_of_it_stops_the_tenant() {
    let world = world("path_login");
    let source = &world.tenants[0];
    let login = reader(source, &["public", "t"]);
    set(
        source,
        &login,
        &[("search_path", "\"$user\", t, gone, public")],
    );
    add(&world, "acme", &source.url_as(&login), &[]).ok();
    let shown = tenant(&world, "acme");
    assert_eq!(shown["search_path"], serde_json::json!(["t", "public"]));
    assert_eq!(shown["search_path_from"], "login");
    run(&world, "backfill").ok();
    assert_eq!(world.totals().0, "35");

    // Whatever leads to other schemas: a setting, or a schema that appears.
    let changes = [
        format!("ALTER ROLE \"{login}\" SET search_path = public"),
        format!("CREATE SCHEMA \"{login}\" AUTHORIZATION \"{login}\""),
    ];
    for change in changes {
        source.run(&change);
        for command in ["refresh", "backfill", "verify"] {
            let out = match command {
                "verify" => world.dayhaul(&["verify"]),
                "backfill" => world.dayhaul(&["backfill", "--today", TODAY, "--last", "1"]),
                _ => run(&world, command),
            };
            let out = out.exits(1);
            let said = format!("{}{}", out.stdout, out.stderr);
            for words in [
                "search path now finds other schemas",
                "tenant set acme --search-path",
                "instead of `t, public`",
            ] {
                assert!(said.contains(words), "{command}: {words}: {out:?}");
            }
        }
        world.dayhaul(&["tenant", "test", "acme"]).exits(1);
        assert_eq!(world.totals().0, "35");
        source.run(&format!(
            "DROP SCHEMA IF EXISTS \"{login}\"; ALTER ROLE \"{login}\" SET search_path = \"$user\", t, public"
        ));
        run(&world, "refresh").ok();
    }

    source.run(&format!("ALTER ROLE \"{login}\" SET search_path = public"));
    let set = ["tenant", "set", "acme", "--search-path", "public"];
    let out = world.dayhaul(&set).ok();
    assert!(out.stderr.contains("dayhaul verify"), "{out:?}");
    world.dayhaul(&["verify"]).exits(1);
    run(&world, "refresh").ok();
    assert_eq!(world.totals().0, "20");
    assert_eq!(tenant(&world, "acme")["search_path_from"], "chosen");
}

#[test]
fn a_chosen_path_counts_whatever_the_login_has_and_its_schemas_must_be_there() {
    let world = world("path_chosen");
    let source = &world.tenants[0];
    let login = reader(source, &["public", "t"]);
    let url = source.url_as(&login);
    let out = add(&world, "acme", &url, &["--search-path", "T, nowhere"]).exits(2);
    assert!(out.stderr.contains("`nowhere`"), "{out:?}");
    let out = add(&world, "acme", &url, &["--search-path", "\"$user\""]).exits(2);
    assert!(out.stderr.contains("$user"), "{out:?}");
    add(&world, "acme", &url, &["--search-path", "T, public"]).ok();
    set(source, &login, &[("search_path", "public")]);
    run(&world, "backfill").ok();
    assert_eq!(world.totals().0, "35");
    // Without it the same names would be found in `public`.
    source.run(&format!("REVOKE USAGE ON SCHEMA t FROM \"{login}\""));
    for out in [
        run(&world, "refresh").exits(1),
        world.dayhaul(&["verify"]).exits(1),
    ] {
        let said = format!("{}{}", out.stdout, out.stderr);
        assert!(said.contains("schema `t` of the search path"), "{out:?}");
    }
    assert_eq!(world.totals().0, "35");
}

#[test]
fn a_tenant_that_was_never_contacted_gets_the_logins_path_at_its_first_run() {
    let world = world("path_first");
    let source = &world.tenants[0];
    let login = reader(source, &["public", "t"]);
    set(source, &login, &[("search_path", "t")]);
    add(&world, "acme", &source.url_as(&login), &["--no-test"]).ok();
    assert_eq!(tenant(&world, "acme")["search_path_from"], "unknown");
    run(&world, "backfill").ok();
    assert_eq!(world.totals().0, "35");
    let shown = tenant(&world, "acme");
    assert_eq!(shown["search_path"], serde_json::json!(["t"]));
    set(source, &login, &[("search_path", "public")]);
    run(&world, "refresh").exits(1);
}

/// As an earlier version left the catalog.
fn as_of_an_earlier_version(world: &World) {
    earlier_catalog::bring_back(&world.warehouse, 6);
    world.dayhaul(&["tenant", "list"]).exits(2);
    world.dayhaul(&["init"]).ok();
}

#[test]
fn a_tenant_of_an_earlier_version_keeps_its_rows_and_hears_of_the_logins_path() {
    let world = world("path_earlier");
    let source = &world.tenants[0];
    let login = reader(source, &["public", "t"]);
    add(&world, "acme", &source.url_as(&login), &[]).ok();
    run(&world, "backfill").ok();
    assert_eq!(world.totals().0, "20");
    set(source, &login, &[("search_path", "t, public")]);
    as_of_an_earlier_version(&world);
    for _ in 0..2 {
        let report = world.dayhaul(&[&["refresh", "--json", "--today", TODAY], &DAYS[..]].concat());
        let report = report.ok().json();
        assert_eq!(report["totals"]["unchanged"], 5, "{report}");
        let note = report["notes"][0].as_str().unwrap();
        assert!(
            note.contains("tenant set acme --search-path 't, public'"),
            "{note}"
        );
    }
    assert_eq!(tenant(&world, "acme")["search_path_from"], "earlier");
    world.dayhaul(&["verify"]).ok();
    // A person chooses, and hears no more of it.
    world
        .dayhaul(&["tenant", "set", "acme", "--search-path", "public"])
        .ok();
    let out = run(&world, "refresh").ok();
    assert!(!out.stderr.contains("search path"), "{out:?}");
    assert_eq!(world.totals().0, "20");
}

#[test]
fn a_tenant_of_an_earlier_version_whose_login_has_the_same_path_is_recorded_without_a_word() {
    let world = world("path_same");
    let source = &world.tenants[0];
    let login = reader(source, &["public"]);
    add(&world, "acme", &source.url_as(&login), &[]).ok();
    run(&world, "backfill").ok();
    as_of_an_earlier_version(&world);
    let out = run(&world, "refresh").ok();
    assert!(!out.stderr.contains("search path"), "{out:?}");
    let shown = tenant(&world, "acme");
    assert_eq!(shown["search_path"], serde_json::json!(["public"]));
    assert_eq!(shown["search_path_from"], "login");
}

const OWN: &str = r#"/*
time_column = "at"
unique = ["id"]
range_query = "SELECT min(at), max(at) FROM {schema}.event"

[columns]
id = "bigint"
at = "timestamptz"
note = "varchar(20)"
amount = "numeric(12,2)"
*/
SELECT id, at, note, amount FROM {schema}.event WHERE at >= {from} AND at < {to}
"#;

#[test]
fn one_template_reads_each_tenants_own_schema() {
    let world = World::new("own_schema", &["all"]);
    let source = world.tenants[0].clone();
    let url = source.url();
    for (schema, rows) in [("t", 7), ("Müller \"1\"", 4)] {
        events::create(&source);
        events::fill(&source, "2024-03-01", 5, rows);
        let name = schema.replace('"', "\"\"");
        source.run(&format!(
            "CREATE SCHEMA \"{name}\"; ALTER TABLE event SET SCHEMA \"{name}\""
        ));
    }
    world.dayhaul(&["init"]).ok();
    world.write("event.sql", OWN);
    world.dayhaul(&["template", "lint", "event.sql"]).ok();
    world.dayhaul(&["template", "load", "event.sql"]).ok();
    let out = add(&world, "acme", &url, &[]).exits(2);
    assert!(out.stderr.contains("--source-schema"), "{out:?}");
    add(&world, "acme", &url, &["--source-schema", "t"]).ok();
    let out = add(
        &world,
        "mueller",
        &url,
        &["--source-schema", "Müller \"1\""],
    )
    .ok();
    assert!(out.stderr.contains("2024-03-01 … 2024-03-05"), "{out:?}");
    for command in ["backfill", "refresh"] {
        run(&world, command).ok();
    }
    world.dayhaul(&["verify"]).ok();
    let counts = "SELECT schema_name, count(*) FROM public.event GROUP BY 1 ORDER BY 1";
    let counts = world.read(counts);
    let text = |row: usize, column: usize| counts[row][column].clone().unwrap();
    assert_eq!((text(0, 0), text(0, 1)), ("acme".into(), "35".into()));
    assert_eq!((text(1, 0), text(1, 1)), ("mueller".into(), "20".into()));

    let sql = [
        "template",
        "preview",
        "event",
        "--tenant",
        "mueller",
        "--day",
        "2024-03-01",
        "--sql",
    ];
    let sql = world.dayhaul(&sql).ok().stdout;
    assert!(sql.contains("FROM \"Müller \"\"1\"\"\".event"), "{sql}");
    let lint = ["template", "lint", "event.sql", "--tenant", "acme"];
    world.dayhaul(&lint).ok();
    world.write(
        "quoted.sql",
        &OWN.replace("{schema}.event WHERE", "\"{schema}\".event WHERE"),
    );
    let out = world.dayhaul(&["template", "lint", "quoted.sql"]).exits(1);
    assert!(
        out.stdout.contains("an identifier with its own quotes"),
        "{out:?}"
    );

    // A schema that is not there is tested before it is set.
    let wrong = ["tenant", "set", "acme", "--source-schema", "nowhere"];
    world.dayhaul(&wrong).exits(1);
    assert_eq!(tenant(&world, "acme")["source_schema"], "t");
}

#[test]
fn a_tenant_that_moved_gets_another_connection() {
    let world = World::with_events("moved_tenant", &["acme", "new-place"], "2024-03-01", 5, 4);
    run(&world, "backfill").ok();
    // The other tenant's database is where the first one moves; its own pair is not needed any more.
    world.dayhaul(&["tenant", "disable", "new-place"]).ok();
    let new = world.tenants[1].clone();
    new.run("INSERT INTO event SELECT 1000, '2024-03-06 12:00+00', 'late', 1");
    let away = [
        "tenant",
        "set",
        "acme",
        "--url",
        "postgres://postgres@127.0.0.1:1/x",
    ];
    world.dayhaul(&away).exits(3);
    let secret = [
        "tenant",
        "set",
        "acme",
        "--url",
        "postgres://x:hunter2@127.0.0.1/x",
    ];
    let out = world.dayhaul(&secret).exits(2);
    assert!(!format!("{out:?}").contains("hunter2@"), "{out:?}");
    world.dayhaul(&["tenant", "set", "acme"]).exits(2);
    let set = [
        "tenant",
        "set",
        "acme",
        "--url",
        &new.url(),
        "--password",
        "pgpass",
        "--json",
    ];
    let json = world.dayhaul(&set).ok().json();
    assert_eq!(json["schema"], "dayhaul.tenant.set/1");
    assert_eq!(json["tenant"]["password"], "pgpass");
    let nobody = ["tenant", "set", "acmee", "--password", "pgpass"];
    let out = world.dayhaul(&nobody).exits(2);
    assert!(out.stderr.contains("did you mean `acme`?"), "{out:?}");
    world
        .backfill(&[
            "--tenant",
            "acme",
            "--from",
            "2024-03-06",
            "--to",
            "2024-03-06",
        ])
        .ok();
    assert_eq!(
        world.read("SELECT count(*) FROM public.event WHERE schema_name = 'acme'")[0][0],
        Some("21".into())
    );
}
