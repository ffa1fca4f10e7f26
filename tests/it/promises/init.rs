//! `dayhaul init`: roles, rights, schema and migrations.

use crate::support::server;
use crate::support::world::{Output, World};

/// A login of its own, without any right beyond what everyone has.
fn plain_login(world: &World, options: &str) -> String {
    let login = format!("{}_login", world.owner);
    world
        .warehouse
        .run(&format!("CREATE ROLE \"{login}\" LOGIN {options}"));
    login
}

fn init_as(world: &World, login: &str, args: &[&str]) -> Output {
    let mut all = vec!["init"];
    all.extend(args);
    Output::of(
        world
            .command(&all)
            .env("DAYHAUL_WAREHOUSE_URL", world.warehouse.url_as(login)),
    )
}

/// Everything `init` could have changed, as text.
fn shape(world: &World) -> String {
    let sql = format!(
        "SELECT string_agg(t, E'\\n' ORDER BY t) FROM ( \
           SELECT format('%s %s %s', relname, relkind, relacl) AS t FROM pg_class WHERE relnamespace = to_regnamespace('_wh') \
           UNION ALL SELECT format('%s %s %s', nspname, nspowner::regrole, nspacl) FROM pg_namespace \
           UNION ALL SELECT format('%s %s %s', rolname, rolcanlogin, rolsuper) FROM pg_roles WHERE rolname LIKE '{}%' OR rolname LIKE '{}%' \
           UNION ALL SELECT format('%s %s', roleid::regrole, member::regrole) FROM pg_auth_members WHERE roleid::regrole::text LIKE '%{}%') AS x",
        world.owner, world.reader, world.owner
    );
    world.warehouse.one(&sql)
}

#[test]
fn init_prepares_the_warehouse_and_run_twice_it_changes_nothing() {
    let world = World::new("init_twice", &[]);
    let out = world.dayhaul(&["init", "--json"]).ok().json();
    assert_eq!(out["schema"], "dayhaul.init/1");
    assert_eq!(out["outcome"], "changed");
    let owners = world.warehouse.rows(
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = '_wh'::regnamespace",
    );
    assert_eq!(owners, [[Some(world.owner.clone())]]);
    let before = world
        .warehouse
        .one("SELECT max(applied_at) FROM _wh.migration");
    let out = world.dayhaul(&["init"]).ok();
    assert!(out.stdout.starts_with("nothing to do"), "{}", out.stdout);
    assert_eq!(
        world.dayhaul(&["init", "--json"]).ok().json()["outcome"],
        "unchanged"
    );
    let after = world
        .warehouse
        .one("SELECT max(applied_at) FROM _wh.migration");
    assert_eq!(before, after);
}

#[test]
fn a_dry_run_touches_nothing() {
    let world = World::new("init_dry", &[]);
    let before = shape(&world);
    let out = world.dayhaul(&["init", "--dry-run"]).ok();
    assert!(out.stdout.contains("create schema `_wh`"), "{}", out.stdout);
    assert_eq!(shape(&world), before);
}

#[test]
fn the_sql_for_the_administrator_makes_the_next_init_succeed() {
    let world = World::new("init_admin", &[]);
    let login = plain_login(&world, "");
    let before = shape(&world);
    let out = init_as(&world, &login, &[]).exits(2);
    assert_eq!(shape(&world), before, "nothing is half done");
    for line in [
        "CREATE ROLE",
        "GRANT CREATE ON DATABASE",
        "ON SCHEMA public",
    ] {
        assert!(out.stdout.contains(line), "{}", out.stdout);
    }
    world.warehouse.run(&out.stdout);
    let out = init_as(&world, &login, &[]).ok();
    assert!(
        out.stdout.contains("apply migration 0001"),
        "{}",
        out.stdout
    );
    let out = init_as(&world, &login, &[]).ok();
    assert!(out.stdout.starts_with("nothing to do"), "{}", out.stdout);
    // The login can do what is needed, without inheriting anything.
    world
        .warehouse
        .run(&format!("ALTER ROLE \"{login}\" NOINHERIT"));
    init_as(&world, &login, &[]).ok();
    let as_login = |args: &[&str]| {
        Output::of(
            world
                .command(args)
                .env("DAYHAUL_WAREHOUSE_URL", world.warehouse.url_as(&login)),
        )
    };
    as_login(&["tenant", "list"]).ok();
    world
        .warehouse
        .run(&format!("REVOKE \"{}\" FROM \"{login}\"", world.owner));
    let out = as_login(&["tenant", "list"]).exits(2);
    assert!(out.stderr.contains("run `dayhaul init`"), "{}", out.stderr);
}

#[test]
fn each_right_that_is_missing_is_asked_for_alone() {
    for (name, revoke, asked) in [
        (
            "init_db",
            "REVOKE CREATE ON DATABASE \"{db}\" FROM \"{owner}\"",
            "GRANT CREATE ON DATABASE",
        ),
        (
            "init_pub",
            "REVOKE CREATE ON SCHEMA public FROM \"{owner}\"",
            "GRANT USAGE, CREATE ON SCHEMA public",
        ),
        (
            "init_mem",
            "REVOKE \"{owner}\" FROM \"{login}\"",
            "GRANT \"",
        ),
    ] {
        let world = World::new(name, &[]);
        let login = plain_login(&world, "");
        let sql = init_as(&world, &login, &[]).exits(2).stdout;
        world.warehouse.run(&sql);
        let revoke = revoke
            .replace("{db}", &world.warehouse.name)
            .replace("{owner}", &world.owner)
            .replace("{login}", &login);
        world.warehouse.run(&revoke);
        let sql = init_as(&world, &login, &[]).exits(2).stdout;
        let statements: Vec<_> = sql.lines().filter(|l| !l.starts_with("--")).collect();
        assert_eq!(statements.len(), 1, "{sql}");
        assert!(statements[0].starts_with(asked), "{sql}");
        world.warehouse.run(&sql);
        init_as(&world, &login, &[]).ok();
    }
}

#[test]
fn a_managed_login_that_owns_the_database_and_makes_roles_needs_no_administrator() {
    let world = World::new("init_managed", &[]);
    let login = plain_login(&world, "CREATEROLE");
    world.warehouse.run(&format!(
        "ALTER DATABASE \"{}\" OWNER TO \"{login}\"",
        world.warehouse.name
    ));
    init_as(&world, &login, &[]).ok();
    let out = init_as(&world, &login, &[]).ok();
    assert!(out.stdout.starts_with("nothing to do"), "{}", out.stdout);
}

#[test]
fn the_owner_may_be_the_login() {
    let mut world = World::new("init_self", &[]);
    let login = plain_login(&world, "CREATEROLE");
    world.warehouse.run(&format!(
        "ALTER DATABASE \"{}\" OWNER TO \"{login}\"",
        world.warehouse.name
    ));
    world.owner = login.clone();
    world.configure("");
    init_as(&world, &login, &[]).ok();
    assert_eq!(
        world
            .warehouse
            .one("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = '_wh'"),
        login
    );
}

#[test]
fn the_reader_sees_nothing_of_the_catalog() {
    let world = World::new("init_reader", &[]);
    Output::of(
        world
            .command(&["init", "--reader-password", "env:READER", "--verbose"])
            .env("READER", "hunter2"),
    )
    .ok();
    let reader = world.warehouse.url_as(&world.reader);
    for table in ["tenant", "migration", "run"] {
        let error = server::rows(&reader, &format!("SELECT * FROM _wh.{table}")).unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501");
    }
    assert!(server::rows(&reader, "SELECT 1").is_ok());
}

#[test]
fn a_password_of_a_role_is_set_and_never_said() {
    let world = World::new("init_secret", &[]);
    let out = Output::of(
        world
            .command(&["init", "--owner-password", "env:PW", "--verbose", "--json"])
            .env("PW", "hunter2'\\")
            .env("DAYHAUL_LOG", "trace"),
    )
    .ok();
    assert!(!format!("{out:?}").contains("hunter2"));
    assert_eq!(
        world.warehouse.one(&format!(
            "SELECT rolcanlogin AND rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname = '{}'",
            world.owner
        )),
        "t"
    );
    let out = Output::of(
        world
            .command(&["init", "--reader-password", "hunter2"])
            .env("PW", "x"),
    )
    .exits(2);
    assert!(!format!("{out:?}").contains("hunter2"));
}

#[test]
fn other_tables_in_the_schema_are_left_as_they_are() {
    let world = World::new("init_beside", &[]);
    world.warehouse.run(
        "CREATE SCHEMA _wh; CREATE TABLE _wh.theirs AS SELECT 42 AS answer; CREATE VIEW _wh.seen AS TABLE _wh.theirs",
    );
    world.dayhaul(&["init"]).ok();
    assert_eq!(world.warehouse.one("SELECT answer FROM _wh.seen"), "42");
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.tenant"), "0");
}

#[test]
fn a_table_of_our_name_that_is_not_ours_is_refused_before_anything_is_done() {
    for (name, sql) in [
        ("init_taken", "CREATE TABLE _wh.tenant (x int)"),
        ("init_taken_v", "CREATE VIEW _wh.run AS SELECT 1 AS x"),
        ("init_taken_t", "CREATE TYPE _wh.unit AS ENUM ('a')"),
        ("init_taken_m", "CREATE TABLE _wh.migration (x int)"),
    ] {
        let world = World::new(name, &[]);
        world.warehouse.run(&format!("CREATE SCHEMA _wh; {sql}"));
        let before = shape(&world);
        let out = world.dayhaul(&["init"]).exits(2);
        assert!(out.stderr.contains("_wh."), "{}", out.stderr);
        assert_eq!(shape(&world), before);
    }
}

#[test]
fn inits_at_the_same_time_end_with_one_catalog() {
    let world = World::new("init_race", &[]);
    let running: Vec<_> = (0..4)
        .map(|_| {
            world
                .command(&["init", "--quiet"])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut one in running {
        assert!(one.wait().unwrap().success());
    }
    assert_eq!(
        world.warehouse.one("SELECT count(*) FROM _wh.migration"),
        dayhaul::catalog::setup::migrate::newest().to_string()
    );
}

#[test]
fn a_newer_catalog_and_a_missing_one_stop_every_command() {
    let world = World::new("init_newer", &[]);
    let out = world.dayhaul(&["tenant", "list"]).exits(2);
    assert!(
        out.stderr.contains("hint: run `dayhaul init`"),
        "{}",
        out.stderr
    );
    world.dayhaul(&["init"]).ok();
    world
        .warehouse
        .run("INSERT INTO _wh.migration VALUES (99, 'future')");
    for args in [&["init"][..], &["tenant", "list"]] {
        let out = world.dayhaul(args).exits(2);
        assert!(out.stderr.contains("version 99"), "{}", out.stderr);
    }
}

#[test]
fn a_database_that_is_not_utf8_is_no_warehouse() {
    let world = World::new("init_latin", &[]);
    let name = format!("{}_latin", world.warehouse.name);
    server::run(
        &server::url("postgres"),
        &format!(
            "CREATE DATABASE \"{name}\" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        ),
    );
    let out = Output::of(
        world
            .command(&["init"])
            .env("DAYHAUL_WAREHOUSE_URL", server::url(&name)),
    )
    .exits(2);
    assert!(out.stderr.contains("LATIN1"), "{}", out.stderr);
}
