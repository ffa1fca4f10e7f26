//! `dayhaul tenant …`.

use crate::support::server::{self, Database};
use crate::support::world::{Output, World};
use dayhaul::catalog::{self, Catalog, Selection};
use dayhaul::cluster::{Cluster, Programs, THROW_AWAY};
use dayhaul::config::Settings;
use std::sync::Arc;

/// Rows on weekdays of 2023-03-06 … 2023-06-30, at noon UTC.
const VISITS: &str = "CREATE TABLE visits (id bigint, at timestamptz NOT NULL, client text);
    INSERT INTO visits SELECT row_number() OVER (), d + interval '12 hours', '7'
    FROM generate_series('2023-03-06 00:00+00'::timestamptz, '2023-06-30 00:00+00', '1 day') AS d
    WHERE extract(isodow FROM d AT TIME ZONE 'UTC') < 6;
    CREATE INDEX ON visits (at)";

const TEMPLATE: &str = "/*
description = \"visits\"
time_column = \"at\"

[columns]
id = \"bigint\"
at = \"timestamptz\"
*/
SELECT id, at FROM visits WHERE at >= {from} AND at < {to} AND client = {var:client}
";

/// A warehouse with the template `visits`, and a tenant's database with rows.
fn world(name: &str, tenants: &[&str]) -> World {
    let world = World::new(name, tenants);
    world.dayhaul(&["init"]).ok();
    world.write("visits.sql", TEMPLATE);
    world.dayhaul(&["template", "load", "visits.sql"]).ok();
    for tenant in &world.tenants {
        tenant.run(VISITS);
    }
    world
}

fn add(world: &World, name: &str, more: &[&str]) -> Output {
    let url = world.tenants[0].url();
    let mut args = vec!["tenant", "add", name, "--url", &url];
    args.extend(more);
    world.dayhaul(&args)
}

const FULL: [&str; 4] = ["--template", "visits", "--var", "client=7"];

#[test]
fn a_tenant_is_tested_added_shown_and_its_templates_switched() {
    let world = world("ten_add", &["acme-prod"]);
    let out = add(&world, "acme-prod", &FULL).ok();
    assert!(
        out.stderr
            .contains("tenant `acme-prod` gets schema `acme_prod`"),
        "{}",
        out.stderr
    );
    let list = world.dayhaul(&["tenant", "list", "--json"]).ok().json();
    assert_eq!(list["schema"], "dayhaul.tenant.list/1");
    assert_eq!(list["tenants"][0]["schema_name"], "acme_prod");
    assert_eq!(list["tenants"][0]["templates"][0]["template"], "visits");
    let out = world.dayhaul(&["tenant", "show", "acme-prod"]).ok();
    assert!(out.stdout.contains("client = 7"), "{}", out.stdout);

    world
        .dayhaul(&["tenant", "disable", "acme-prod", "--template", "visits"])
        .ok();
    let show = |world: &World| {
        world
            .dayhaul(&["tenant", "show", "acme-prod", "--json"])
            .ok()
            .json()["tenant"]["templates"][0]
            .clone()
    };
    assert_eq!(show(&world)["enabled"], false);
    world
        .dayhaul(&[
            "tenant",
            "enable",
            "acme-prod",
            "--template",
            "visits",
            "--from",
            "2023-03-06",
        ])
        .ok();
    assert_eq!(show(&world)["enabled"], true);
    assert_eq!(show(&world)["first_day"], "2023-03-06");
    let out = world.dayhaul(&["tenant", "show", "acme-prd"]).exits(2);
    assert!(
        out.stderr.contains("hint: did you mean `acme-prod`?"),
        "{}",
        out.stderr
    );
}

#[test]
fn a_tenant_added_twice_and_a_schema_used_twice_are_refused() {
    let world = world("ten_twice", &["acme"]);
    add(&world, "acme", &[]).ok();
    let out = add(&world, "acme", &[]).exits(2);
    assert!(
        out.stderr.contains("tenant `acme` already exists"),
        "{}",
        out.stderr
    );
    let out = add(&world, "zenith", &["--schema", "acme"]).exits(2);
    assert!(
        out.stderr.contains("belongs to tenant `acme`"),
        "{}",
        out.stderr
    );
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.tenant"), "1");
}

#[test]
fn a_schema_name_that_would_need_quoting_is_refused() {
    let world = world("ten_schema", &["acme"]);
    let long = "a".repeat(64);
    for (schema, why) in [
        ("a\"b", "quote"),
        ("o'neill", "quote"),
        ("Acme", "uppercase letter"),
        ("a.b", "dot"),
        ("select", "reserved"),
        ("pg_acme", "reserved"),
        ("public", "reserved"),
        ("_wh", "reserved"),
        (&long, "64 bytes"),
    ] {
        let out = add(&world, "acme", &["--schema", schema]).exits(2);
        assert!(out.stderr.contains(why), "{schema}: {}", out.stderr);
    }
    add(&world, "user", &[]).exits(2);
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.tenant"), "0");
}

#[test]
fn a_password_in_the_url_is_refused_with_the_line_to_use() {
    let world = world("ten_pw", &[]);
    for url in [
        "postgres://u:hunter2@127.0.0.1:1/x",
        "host=127.0.0.1 port=1 user=u password=hunter2 dbname=x",
        "postgres://u@127.0.0.1:1/x?password=hunter2",
    ] {
        let out = world
            .dayhaul(&["tenant", "add", "acme-prod", "--url", url, "--verbose"])
            .exits(2);
        assert!(
            out.stderr.contains("--password env:ACME_PROD_PASSWORD"),
            "{}",
            out.stderr
        );
        assert!(!format!("{out:?}").contains("hunter2"));
    }
    let out = world
        .dayhaul(&[
            "tenant",
            "add",
            "acme",
            "--url",
            "postgres://u@127.0.0.1:1/x",
            "--password",
            "hunter2",
        ])
        .exits(2);
    assert!(!format!("{out:?}").contains("hunter2"));
}

#[test]
fn a_tenant_that_cannot_be_reached_is_added_only_untested() {
    let world = world("ten_gone", &[]);
    let args = [
        "tenant",
        "add",
        "acme",
        "--url",
        "postgres://u@127.0.0.1:1/x",
    ];
    let out = world.dayhaul(&args).exits(3);
    assert!(out.stderr.contains("--no-test"), "{}", out.stderr);
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.tenant"), "0");
    let mut args = args.to_vec();
    args.push("--no-test");
    world.dayhaul(&args).ok();
    world.dayhaul(&["tenant", "test", "acme"]).exits(3);
    world.dayhaul(&["tenant", "test"]).exits(2);
}

#[test]
fn a_test_tells_those_that_fail_from_those_that_work() {
    let world = world("ten_mixed", &["acme", "zenith"]);
    add(&world, "acme", &FULL).ok();
    world
        .dayhaul(&[
            "tenant",
            "add",
            "gone",
            "--url",
            "postgres://u@127.0.0.1:1/x",
            "--no-test",
        ])
        .ok();
    world.tenants[1].run("ALTER TABLE visits DROP COLUMN client");
    let url = world.tenants[1].url();
    let mut args = vec!["tenant", "add", "zenith", "--url", &url];
    args.extend(FULL);
    let out = world.dayhaul(&args).exits(1);
    assert!(
        out.stderr.contains("tenant `zenith`: template `visits`") && out.stderr.contains("client"),
        "{}",
        out.stderr
    );
    args.push("--no-test");
    world.dayhaul(&args).ok();
    let out = world
        .dayhaul(&["tenant", "test", "--all", "--json"])
        .exits(1)
        .json();
    assert_eq!(out["tenants"][0]["templates"][0]["readable"], true);
    assert_eq!(out["tenants"][1]["reachable"], false);
    assert_eq!(out["tenants"][2]["templates"][0]["readable"], false);
}

#[test]
fn a_login_without_rights_on_a_table_is_found_out() {
    let world = world("ten_rights", &["acme"]);
    let login = format!("{}_source", world.owner);
    world.tenants[0].run(&format!("CREATE ROLE \"{login}\" LOGIN"));
    let url = world.tenants[0].url_as(&login);
    let mut args = vec!["tenant", "add", "acme", "--url", &url];
    args.extend(FULL);
    let out = world.dayhaul(&args).exits(1);
    assert!(out.stderr.contains("permission denied"), "{}", out.stderr);
    world.tenants[0].run(&format!("GRANT SELECT ON visits TO \"{login}\""));
    world.dayhaul(&args).ok();
}

fn days(world: &World, tenant: &str) -> (String, String) {
    let out = world
        .dayhaul(&["tenant", "test", tenant, "--json"])
        .ok()
        .json();
    let found = &out["tenants"][0]["templates"][0];
    let text = |key: &str| found[key].as_str().unwrap_or("-").to_owned();
    (text("first_day"), text("last_day"))
}

#[test]
fn the_days_with_rows_are_found_by_halving_windows() {
    let world = world("ten_range", &["acme"]);
    add(&world, "acme", &FULL).ok();
    assert_eq!(
        days(&world, "acme"),
        ("2023-03-06".into(), "2023-06-30".into())
    );
    world.tenants[0].run("DELETE FROM visits");
    let out = world.dayhaul(&["tenant", "test", "acme"]).ok();
    assert!(out.stdout.trim_end().ends_with("none"), "{}", out.stdout);
}

#[test]
fn the_templates_own_range_query_is_preferred() {
    let world = World::new("ten_rq", &["acme"]);
    world.dayhaul(&["init"]).ok();
    world.tenants[0].run(VISITS);
    let text = TEMPLATE.replace(
        "time_column",
        "range_query = \"SELECT min(at), max(at) + interval '11:59:59' FROM visits -- all\"\ntime_column",
    );
    world.write("visits.sql", &text);
    world.dayhaul(&["template", "load", "visits.sql"]).ok();
    add(&world, "acme", &FULL).ok();
    // Midnight in UTC, not in the server's New York.
    assert_eq!(
        days(&world, "acme"),
        ("2023-03-06".into(), "2023-06-30".into())
    );
}

#[test]
fn a_variable_or_template_that_is_missing_stops_the_add() {
    let world = world("ten_var", &["acme"]);
    let out = add(&world, "acme", &["--template", "visits"]).exits(2);
    assert!(out.stderr.contains("--var client=…"), "{}", out.stderr);
    let out = add(&world, "acme", &["--template", "visit"]).exits(2);
    assert!(
        out.stderr.contains("did you mean `visits`?"),
        "{}",
        out.stderr
    );
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.tenant"), "0");
}

#[test]
fn a_schema_that_is_there_already_is_said_or_refused() {
    let world = world("ten_there", &["acme"]);
    world
        .warehouse
        .run("CREATE SCHEMA acme; CREATE TABLE acme.visits_2024_01_01 (x int)");
    let out = add(&world, "acme", &FULL).exits(2);
    assert!(
        out.stderr.contains("GRANT USAGE, CREATE ON SCHEMA acme"),
        "{}",
        out.stderr
    );
    world.warehouse.run(&format!(
        "GRANT USAGE, CREATE ON SCHEMA acme TO \"{}\"",
        world.owner
    ));
    let out = add(&world, "acme", &FULL).ok();
    assert!(
        out.stderr
            .contains("holds `visits_2024_01_01`, which is not Dayhaul's"),
        "{}",
        out.stderr
    );
}

#[test]
fn a_reference_in_the_catalog_runs_no_command_unless_this_host_allows_it() {
    let world = world("ten_trust", &["acme"]);
    let mark = world.folder().join("ran");
    let reference = format!("cmd:touch {}; echo x", mark.display());
    let with = ["--password", &reference];
    let out = add(&world, "acme", &with).exits(2);
    assert!(out.stderr.contains("[secrets]"), "{}", out.stderr);
    assert!(!mark.exists());
    world.configure(&format!("[secrets]\nallow = ['{reference}']\n"));
    add(&world, "acme", &with).ok();
    assert!(mark.exists());
}

#[test]
fn a_wrong_password_is_told_and_a_right_one_never_shown() {
    let world = world("ten_scram", &[]);
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let cluster = Cluster::start(&programs, dir.path(), &THROW_AWAY).unwrap();
    let url = cluster.url("postgres");
    server::run(&url, "CREATE ROLE loader LOGIN PASSWORD 'hunter2'");
    std::fs::write(
        cluster.data_dir().join("pg_hba.conf"),
        "host all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    cluster.reload();
    let url = url.replace("postgres@", "loader@");
    let run = |args: &[&str], password: &str| {
        Output::of(
            world
                .command(args)
                .env("ACME_PASSWORD", password)
                .env("DAYHAUL_LOG", "trace"),
        )
    };
    let args = [
        "tenant",
        "add",
        "acme",
        "--url",
        &url,
        "--password",
        "env:ACME_PASSWORD",
        "--show-values",
    ];
    let wrong = run(&args, "hunter3").exits(3);
    assert!(
        wrong.stderr.contains("password authentication failed"),
        "{}",
        wrong.stderr
    );
    let added = run(&args, "hunter2").ok();
    let tested = run(&["tenant", "test", "acme"], "hunter2").ok();
    let shown = run(&["tenant", "show", "acme", "--json"], "hunter2").ok();
    for out in [wrong, added, tested, shown] {
        assert!(!format!("{out:?}").contains("hunter"), "{out:?}");
    }
    let all = world
        .warehouse
        .one("SELECT string_agg(t::text, '') FROM _wh.tenant t");
    assert!(
        all.contains("env:ACME_PASSWORD") && !all.contains("hunter"),
        "{all}"
    );
}

#[test]
fn pairs_are_those_enabled_and_a_name_that_selects_nothing_is_an_error() {
    let world = world("ten_pairs", &["acme"]);
    add(&world, "acme", &FULL).ok();
    add(&world, "zenith", &FULL).ok();
    add(&world, "bare", &[]).ok();
    let named = |tenants: &[&str]| Selection {
        tenants: tenants.iter().map(|t| t.parse().unwrap()).collect(),
        templates: Vec::new(),
    };
    let settings = Settings::load(Some(&world.folder().join("dayhaul.toml"))).unwrap();
    let of = |selection: &Selection| {
        server::block_on(async {
            let catalog = Catalog::open(&settings).await?;
            catalog::pairs(catalog.session(), selection).await
        })
    };
    let all = of(&named(&[])).unwrap();
    let names: Vec<_> = all.iter().map(|p| p.tenant.name.as_str()).collect();
    assert_eq!(names, ["acme", "zenith"]);
    assert!(Arc::ptr_eq(&all[0].template, &all[1].template));
    assert_eq!(of(&named(&["zenith"])).unwrap().len(), 1);
    let error = of(&named(&["acme", "bare"])).unwrap_err();
    assert!(error.to_string().contains("tenant `bare`"), "{error}");
    let error = of(&named(&["acmee"])).unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `acme`?"));
    world.dayhaul(&["tenant", "disable", "zenith"]).ok();
    assert_eq!(of(&named(&[])).unwrap().len(), 1);
}

#[test]
fn a_source_is_left_as_it_was_found() {
    let world = world("ten_clean", &["acme"]);
    let before = snapshot(&world.tenants[0]);
    add(&world, "acme", &FULL).ok();
    world.dayhaul(&["tenant", "test", "acme"]).ok();
    assert_eq!(snapshot(&world.tenants[0]), before);
}

/// What a test could have left behind: relations, settings, rows.
fn snapshot(db: &Database) -> Vec<Vec<Option<String>>> {
    db.rows(
        "SELECT count(*)::text, max(oid)::text FROM pg_class UNION ALL SELECT count(*)::text, '' FROM pg_db_role_setting \
         UNION ALL SELECT count(*)::text, max(xmin::text) FROM visits",
    )
}
