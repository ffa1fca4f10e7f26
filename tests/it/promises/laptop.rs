//! `dayhaul laptop`: a month on a private server, and no true value of a masked column in any of its files.

use crate::support::server::{self, Database};
use crate::support::world::{Output, World, send, wait_until};
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const TEMPLATE: &str = r#"/*
time_column = "at"
unique = ["id"]

[columns]
id = { type = "bigint", mask = "hash" }
at = "timestamptz"
customer = { type = "uuid", mask = "hash" }
email = { type = "text", mask = "hash" }
name = { type = "varchar(30)", mask = "fake" }
phone = { type = "text", mask = "null" }
paid = { type = "numeric(10,2)", mask = "fake" }
item = "text"
*/
SELECT id, at, customer, email, name, phone, paid, item FROM sale WHERE at >= {from} AND at < {to}
"#;

const TODAY: &str = "2024-03-20";

/// Sales of `days` days from `from` on, three a day; the first of each day is the same customer's everywhere.
fn fill(source: &Database, from: &str, days: u32) {
    source.run(&format!(
        "CREATE TABLE IF NOT EXISTS sale (id bigint PRIMARY KEY, at timestamptz, customer uuid, email text, name text,
             phone text, paid numeric(10,2), item text);
         INSERT INTO sale
         SELECT (SELECT coalesce(max(id), 770000) FROM sale) + d * 3 + n, timestamptz '{from} 12:00+00' + d * interval '1 day',
                CASE n WHEN 1 THEN '00000000-0000-0000-0000-00000000cafe' ELSE gen_random_uuid() END,
                CASE n WHEN 1 THEN 'canary-regular@mail.example' ELSE format('canary-%s-%s@mail.example', d, n) END,
                'canary-name-' || n, 'canary-phone-' || n, 100 + d + n / 100.0, 'visible-item-' || n
         FROM generate_series(0, {days} - 1) AS d, generate_series(1, 3) AS n"
    ));
}

pub fn shop(name: &str, tenants: &[&str]) -> World {
    let world = World::new(name, tenants);
    for source in &world.tenants {
        fill(source, "2024-02-10", 39);
    }
    world.set_up_template("sale", TEMPLATE, tenants);
    world
}

/// A folder for laptops that whoever runs PostgreSQL may pass through.
pub struct Desk(tempfile::TempDir);

impl Desk {
    pub fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(folder.path(), open).unwrap();
        Desk(folder)
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("wh")
    }

    pub fn laptop(&self, world: &World, args: &[&str]) -> Output {
        let dir = self.dir();
        let args = [&["laptop", dir.to_str().unwrap()], args].concat();
        world.dayhaul(&args)
    }

    /// Any command with the laptop's configuration.
    fn with(&self, world: &World, args: &[&str]) -> Output {
        let config = self.dir().join("dayhaul.toml");
        world.dayhaul(&[&["--config", config.to_str().unwrap()], args].concat())
    }

    fn url(&self) -> String {
        format!("{}?options=-c%20timezone%3Dutc", self.plain_url())
    }

    pub fn plain_url(&self) -> String {
        let read = |file: &str| std::fs::read_to_string(self.dir().join(file)).unwrap();
        let port = read("postgres/port");
        let password = read("password");
        format!(
            "postgres://postgres:{}@127.0.0.1:{}/laptop",
            password.trim(),
            port.trim()
        )
    }

    fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        server::rows(&self.url(), sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"))
    }

    pub fn one(&self, sql: &str) -> String {
        self.rows(sql)[0][0].clone().unwrap_or_default()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let nowhere = tempfile::tempdir().unwrap();
        let dir = self.dir();
        let args = ["laptop", dir.to_str().unwrap(), "--stop"];
        let _ = crate::support::world::command(nowhere.path(), &args).output();
    }
}

/// The files below `dir` that hold `text`.
fn holding(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|w| w == text.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

const LAST: [&str; 2] = ["--today", TODAY];

#[test]
fn no_true_value_of_a_masked_column_is_in_any_file_of_a_laptop() {
    let world = shop("laptop_masked", &["acme", "bistro"]);
    let desk = Desk::new();
    let out = desk.laptop(&world, &["--keep", LAST[0], LAST[1]]).ok();
    assert!(out.stdout.contains("email"), "{}", out.stdout);
    assert!(out.stdout.contains("psql 'postgres://"), "{}", out.stdout);

    desk.rows("CHECKPOINT");
    assert!(holding(&desk.dir(), "canary").is_empty());
    assert!(holding(&desk.dir(), "\u{0}\u{0}\u{ca}\u{fe}").is_empty());
    // The search is not blind.
    assert!(!holding(&desk.dir(), "visible-item").is_empty());

    // Thirty days, three rows, two tenants; the unmasked columns as they are at the sources.
    let unmasked =
        "SELECT at, item FROM sale WHERE at < '2024-03-20' AND at >= '2024-02-19' ORDER BY 1, 2";
    for (tenant, source) in ["acme", "bistro"].iter().zip(&world.tenants) {
        let there = server::rows(&source.url_utc(), unmasked).unwrap();
        assert_eq!(there.len(), 90);
        let here = unmasked.replace("sale", &format!("{tenant}.sale"));
        assert_eq!(desk.rows(&here), there, "{tenant}");
    }
    // The same customer in every tenant and on every day: joins work.
    let regular = "SELECT count(DISTINCT email), count(DISTINCT customer), count(DISTINCT schema_name), count(*)
                   FROM public.sale WHERE item = 'visible-item-1'";
    let text = |n: &str| Some(n.to_owned());
    assert_eq!(desk.rows(regular)[0], ["1", "1", "2", "60"].map(text));
    assert_eq!(
        desk.one("SELECT count(DISTINCT email) FROM acme.sale"),
        "61"
    );
    assert_eq!(desk.one("SELECT count(DISTINCT id) FROM acme.sale"), "90");
    assert_eq!(
        desk.one("SELECT bool_and(email ~ '^[0-9a-f]{32}$' AND id > 0 AND id NOT BETWEEN 770000 AND 780000) FROM acme.sale"),
        "t"
    );
    assert_eq!(
        desk.rows("SELECT count(phone), bool_and(name ~ '^[A-Z][a-z]+ [A-Z][a-z]+$'), bool_and(paid BETWEEN 100 AND 1000) FROM public.sale"),
        [[text("0"), text("t"), text("t")]]
    );
}

#[test]
fn a_kept_laptop_stays_and_is_refreshed_by_the_same_command() {
    let world = shop("laptop_kept", &["acme"]);
    let desk = Desk::new();
    let first = desk
        .laptop(&world, &["--keep", "--json", "--today", "2024-03-15"])
        .ok()
        .json();
    assert_eq!(first["schema"], "dayhaul.laptop/1");
    assert_eq!(first["kept"], true);
    assert_eq!(first["run"]["totals"]["loaded"], 30);
    assert_eq!(first["masked"].as_array().unwrap().len(), 6);
    assert_eq!(desk.one("SELECT count(*) FROM sale"), "90");
    let salt = std::fs::read(desk.dir().join("salt")).unwrap();
    let before = desk.one("SELECT min(email) FROM sale WHERE item = 'visible-item-1'");

    // What was found at the source since, in a masked column and in another; and five days more.
    world.tenants[0].run(
        "UPDATE sale SET email = 'canary-changed' WHERE at::date = '2024-03-01' AND item = 'visible-item-2';
         UPDATE sale SET item = 'visible-new' WHERE at::date = '2024-03-02' AND item = 'visible-item-3'",
    );
    desk.laptop(&world, &["--stop"]).ok();
    assert!(server::rows(&desk.url(), "SELECT 1").is_err());
    let again = desk
        .laptop(&world, &["--json", LAST[0], LAST[1]])
        .ok()
        .json();
    let totals = &again["run"]["totals"];
    assert_eq!(totals["loaded"], 5, "{totals}");
    assert_eq!(totals["changed"], 2, "{totals}");
    assert_eq!(totals["unchanged"], 23, "{totals}");
    assert_eq!(
        (&totals["deleted"], &totals["inserted"]),
        (&2.into(), &2.into())
    );
    assert_eq!(std::fs::read(desk.dir().join("salt")).unwrap(), salt);
    assert_eq!(
        desk.one("SELECT min(email) FROM sale WHERE item = 'visible-item-1'"),
        before
    );
    assert_eq!(
        desk.one("SELECT count(*) FROM sale WHERE item = 'visible-new'"),
        "1"
    );
    desk.rows("CHECKPOINT");
    assert!(holding(&desk.dir(), "canary").is_empty());

    // It is a warehouse like any other, and all that is done with its configuration is masked.
    let verified = desk.with(&world, &["verify", "--json"]).ok().json();
    assert_eq!(verified["totals"]["ok"], 35, "{}", verified["totals"]);
    desk.with(
        &world,
        &[
            "backfill",
            "--reload",
            "--from",
            "2024-03-05",
            "--to",
            "2024-03-06",
            "--today",
            TODAY,
        ],
    )
    .ok();
    // A row that moved to a day which is not pulled is found by its masked key, which the tenant works out.
    world.tenants[0].run(
        "UPDATE sale SET at = '2024-03-01 13:00+00' WHERE at::date = '2024-03-12' AND item = 'visible-item-2'",
    );
    let day = [
        "--from",
        "2024-03-12",
        "--to",
        "2024-03-12",
        "--today",
        TODAY,
    ];
    let moved = desk
        .with(&world, &[&["refresh", "--json"], &day[..]].concat())
        .ok()
        .json();
    assert_eq!(moved["totals"]["changed"], 2, "{moved}");
    assert_eq!(
        (&moved["totals"]["deleted"], &moved["totals"]["inserted"]),
        (&1.into(), &1.into())
    );
    assert_eq!(desk.one("SELECT count(*) FROM sale"), "105");
    let preview = [
        "template",
        "preview",
        "sale",
        "--tenant",
        "acme",
        "--day",
        "2024-03-05",
    ];
    let preview = desk.with(&world, &preview).ok();
    assert!(!preview.stdout.contains("canary"), "{}", preview.stdout);
    assert!(preview.stdout.contains("visible-item-1"));
    desk.rows("CHECKPOINT");
    assert!(holding(&desk.dir(), "canary").is_empty());

    desk.laptop(&world, &["--stop"]).ok();
    assert!(
        desk.laptop(&world, &["--stop"])
            .ok()
            .stdout
            .contains("not running")
    );
    desk.laptop(&world, &["--start"]).ok();
    assert_eq!(desk.one("SELECT count(*) FROM sale"), "105");
}

#[test]
fn a_laptop_and_a_warehouse_are_never_taken_for_each_other() {
    let world = shop("laptop_mixed", &["acme"]);
    let desk = Desk::new();
    desk.laptop(&world, &["--keep", "--last", "2", LAST[0], LAST[1]])
        .ok();
    // The laptop under a configuration that masks nothing.
    let mut plain = world.command(&["backfill", "--last", "3", LAST[0], LAST[1]]);
    plain
        .env("DAYHAUL_WAREHOUSE_URL", desk.plain_url())
        .env("DAYHAUL_WAREHOUSE_OWNER_ROLE", "wh_admin");
    let plain = Output::of(&mut plain).exits(2);
    assert!(
        plain.stderr.contains("only masked values"),
        "{}",
        plain.stderr
    );
    // The warehouse under one that masks.
    for command in [
        &["backfill", "--last", "3", LAST[0], LAST[1]][..],
        &["init"],
    ] {
        let config = desk.dir().join("dayhaul.toml");
        let mut masking =
            world.command(&[&["--config", config.to_str().unwrap()], command].concat());
        masking
            .env("DAYHAUL_WAREHOUSE_URL", world.warehouse.url())
            .env("DAYHAUL_WAREHOUSE_OWNER_ROLE", &world.owner);
        let masking = Output::of(&mut masking).exits(2);
        assert!(
            masking.stderr.contains("laptop.salt_file"),
            "{}",
            masking.stderr
        );
    }
    // It lands nothing: masked rows would take the place of true ones.
    let mut land = world.command(&[
        "--config",
        desk.dir().join("dayhaul.toml").to_str().unwrap(),
        "land",
    ]);
    let lake = format!("file://{}", world.folder().join("lake").display());
    land.env("DAYHAUL_LANDING_URL", lake);
    let land = Output::of(&mut land).exits(2);
    assert!(land.stderr.contains("cannot be landed"), "{}", land.stderr);
    assert!(!world.folder().join("lake").exists());
    // Files hold true values.
    let files = tempfile::tempdir().unwrap();
    let restore = ["restore", "--from", files.path().to_str().unwrap()];
    let restore = desk.with(&world, &restore).exits(2);
    assert!(restore.stderr.contains("true values"), "{}", restore.stderr);
    // A laptop of a laptop.
    let nested = desk.with(&world, &["laptop"]).exits(2);
    assert!(
        nested.stderr.contains("true warehouse's catalog"),
        "{}",
        nested.stderr
    );
    // Nothing was written into the warehouse.
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.run"), "0");
    // Nobody gets in without the password.
    let port = desk
        .url()
        .split(':')
        .next_back()
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    assert!(
        server::rows(
            &format!("postgres://postgres@127.0.0.1:{port}/laptop"),
            "SELECT 1"
        )
        .is_err()
    );
}

#[test]
fn a_laptop_that_is_not_kept_is_gone_when_the_command_ends() {
    let world = shop("laptop_gone", &["acme"]);
    let desk = Desk::new();
    // Standard input is closed: it ends as soon as it is there.
    let out = desk.laptop(&world, &["--last", "3", LAST[0], LAST[1]]).ok();
    assert!(out.stdout.contains("Enter or Ctrl-C"), "{}", out.stdout);
    assert!(!desk.dir().exists());

    let dir = desk.dir();
    let mut waiting = world.command(&[
        "laptop",
        dir.to_str().unwrap(),
        "--last",
        "3",
        LAST[0],
        LAST[1],
    ]);
    waiting
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    for signal in [Some(Signal::INT), None] {
        let mut waiting = waiting.spawn().unwrap();
        wait_until("it is there", || {
            desk.dir().join("postgres/port").exists()
                && server::rows(
                    &desk.url(),
                    "SELECT FROM _wh.run WHERE ended_at IS NOT NULL",
                )
                .is_ok_and(|r| r.len() == 1)
        });
        std::thread::sleep(std::time::Duration::from_millis(300));
        match signal {
            Some(signal) => send(&waiting, signal),
            None => drop(waiting.stdin.take()),
        }
        assert_eq!(waiting.wait().unwrap().code(), Some(0), "{signal:?}");
        assert!(!desk.dir().exists());
    }
}

#[test]
fn an_interrupted_laptop_leaves_nothing_unless_it_was_kept() {
    let slow = TEMPLATE.replace("at < {to}", "at < {to} AND pg_sleep(1) IS NOT NULL");
    let world = World::new("laptop_slow", &["acme"]);
    fill(&world.tenants[0], "2024-02-10", 39);
    world.set_up_template("sale", &slow, &["acme"]);
    for kept in [false, true] {
        let desk = Desk::new();
        let dir = desk.dir();
        let mut args = vec!["laptop", dir.to_str().unwrap(), LAST[0], LAST[1]];
        args.extend(kept.then_some("--keep"));
        let running = world.start(&args);
        wait_until("rows are on their way", || {
            world.tenants[0].one("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active' AND datname = current_database()") != "0"
        });
        running.signal(Signal::INT);
        running.output().exits(130);
        assert_eq!(desk.dir().exists(), kept);
        if kept {
            assert_eq!(desk.one("SELECT outcome FROM _wh.run"), "interrupted");
        }
    }
}

#[test]
fn a_tenant_that_is_down_leaves_the_others_alone() {
    let world = shop("laptop_down", &["acme"]);
    let nowhere = "postgres://nobody@127.0.0.1:1/none?connect_timeout=1";
    world
        .dayhaul(&[
            "tenant",
            "add",
            "gone",
            "--url",
            nowhere,
            "--template",
            "sale",
            "--no-test",
        ])
        .ok();
    let desk = Desk::new();
    let report = desk
        .laptop(
            &world,
            &["--keep", "--json", "--last", "3", LAST[0], LAST[1]],
        )
        .exits(1)
        .json();
    assert_eq!(report["run"]["totals"]["loaded"], 3, "{report}");
    assert_eq!(report["run"]["failures"][0]["tenant"], "gone");
    assert_eq!(desk.one("SELECT count(*) FROM sale"), "9");
    // Only the one that is down: nothing came, and it stays to be tried again.
    desk.laptop(
        &world,
        &["--tenant", "gone", "--last", "3", LAST[0], LAST[1]],
    )
    .exits(3);
    assert_eq!(desk.one("SELECT count(*) FROM sale"), "9");
}

#[test]
fn other_masks_need_a_laptop_made_anew() {
    let world = shop("laptop_anew", &["acme"]);
    let desk = Desk::new();
    let some = ["--last", "3", LAST[0], LAST[1]];
    desk.laptop(&world, &[&["--keep"][..], &some].concat()).ok();
    let salt = std::fs::read(desk.dir().join("salt")).unwrap();
    let stricter = TEMPLATE.replace(
        "item = \"text\"",
        "item = { type = \"text\", mask = \"null\" }",
    );
    let shown = world
        .dayhaul(&["template", "show", "sale", "--json"])
        .ok()
        .json();
    assert_eq!(shown["columns"][3]["mask"], "hash");
    assert_eq!(shown["columns"][7]["mask"], serde_json::Value::Null);
    world.write("templates/sale.sql", &stricter);
    let loaded = world
        .dayhaul(&["template", "load", "templates/sale.sql"])
        .ok();
    assert!(loaded.stdout.contains("same version"), "{}", loaded.stdout);
    let refused = desk.laptop(&world, &some).exits(2);
    assert!(
        refused.stderr.contains("column `item`"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--reset"), "{}", refused.stderr);
    assert_eq!(desk.one("SELECT count(item) FROM sale"), "9");
    desk.laptop(&world, &[&["--keep", "--reset"][..], &some].concat())
        .ok();
    assert_eq!(desk.one("SELECT count(item) FROM sale"), "0");
    assert_ne!(std::fs::read(desk.dir().join("salt")).unwrap(), salt);
}

#[test]
fn a_folder_of_somebody_elses_is_left_alone() {
    let world = shop("laptop_foreign", &["acme"]);
    let desk = Desk::new();
    std::fs::create_dir(desk.dir()).unwrap();
    std::fs::write(desk.dir().join("thesis.txt"), "years of work").unwrap();
    for args in [
        &["--keep"][..],
        &["--keep", "--reset"],
        &["--stop"],
        &["--start"],
    ] {
        let out = desk.laptop(&world, args).exits(2);
        assert!(out.stderr.contains("no laptop"), "{}", out.stderr);
    }
    assert!(desk.dir().join("thesis.txt").exists());
    assert_eq!(std::fs::read_dir(desk.dir()).unwrap().count(), 1);
}

#[test]
fn a_template_without_masks_is_said_to_have_none() {
    let world = shop("laptop_plain", &["acme"]);
    let plain = TEMPLATE
        .replace(", mask = \"hash\"", "")
        .replace(", mask = \"fake\"", "")
        .replace(", mask = \"null\"", "");
    world.write("templates/sale.sql", &plain);
    world
        .dayhaul(&["template", "load", "templates/sale.sql"])
        .ok();
    let desk = Desk::new();
    let out = desk.laptop(&world, &["--last", "2", LAST[0], LAST[1]]).ok();
    assert!(
        out.stderr.contains("`sale` masks no column"),
        "{}",
        out.stderr
    );
}
