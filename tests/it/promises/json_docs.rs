//! `docs/json.md` and the program agree: every key that is printed is documented, and every documented key is printed.

mod page;

use super::ending::refuse_endings;
use crate::support::events;
use crate::support::world::{Output, World, wait_until};
use page::{Page, Seen};
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

const PAGE: &str = include_str!("../../../docs/json.md");

/// Commands that have no `--json`.
const WITHOUT_JSON: [&str; 1] = ["demo"];

/// What the program printed, and which commands were run.
#[derive(Default)]
struct Printed {
    objects: Vec<Value>,
    commands: Vec<String>,
}

impl Printed {
    fn run(&mut self, world: &World, args: &[&str], code: i32) -> Value {
        let out = world.dayhaul(&[args, &["--json"]].concat());
        self.keep(args, out.exits(code))
    }

    fn keep(&mut self, args: &[&str], out: Output) -> Value {
        let json = out.json();
        self.commands.push(args.join(" "));
        self.objects.push(json.clone());
        json
    }
}

/// Every command of the program that has no commands below it.
fn commands(world: &World, above: &[&str]) -> Vec<String> {
    let help = world.dayhaul(&[above, &["--help"]].concat()).ok().stdout;
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<&str> = below
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    if names.is_empty() {
        return vec![above.join(" ")];
    }
    let all = names.iter();
    all.flat_map(|name| commands(world, &[above, &[name]].concat()))
        .collect()
}

/// From an empty database to templates and tenants.
fn set_up(world: &World, printed: &mut Printed) {
    let login = format!("{}_login", world.owner);
    world
        .warehouse
        .run(&format!("CREATE ROLE \"{login}\" LOGIN"));
    let mut init = world.command(&["init", "--json"]);
    init.env("DAYHAUL_WAREHOUSE_URL", world.warehouse.url_as(&login));
    printed.keep(&["init"], Output::of(&mut init).exits(2));
    printed.run(world, &["init"], 0);

    let masked = events::TEMPLATE.replace(
        r#"note = "varchar(20)""#,
        r#"note = { type = "varchar(20)", mask = "fake" }"#,
    );
    assert_ne!(masked, events::TEMPLATE);
    world.write("templates/event.sql", &masked);
    let slow = events::TEMPLATE.replace("WHERE at >=", "WHERE date_trunc('hour', at) >=");
    world.write("slow.sql", &slow);
    printed.run(world, &["template", "lint", "slow.sql"], 0);
    printed.run(world, &["template", "load", "templates/event.sql"], 0);
    for (tenant, source) in ["acme", "zenith"].iter().zip(&world.tenants) {
        events::create(source);
        events::fill(source, "2024-03-01", 5, 4);
        let url = source.url();
        let add = [
            "tenant",
            "add",
            tenant,
            "--url",
            &url,
            "--template",
            "event",
            "--var",
            "store=north",
        ];
        printed.run(world, &add, 0);
    }
    world.write(
        "query.sql",
        "SELECT id, at FROM event WHERE at >= {from} AND at < {to}",
    );
    for args in [
        "template new short --query query.sql --tenant acme",
        "template list",
        "template show event --versions",
        "template preview event --tenant acme --day 2024-03-02",
        "template preview event --tenant acme --day 2024-03-02 --sql",
        "tenant list",
        "tenant show acme",
        "tenant test --all",
        "tenant set acme --password pgpass --source-schema public",
        "tenant disable acme",
        "tenant disable acme --template event",
        "tenant enable acme --template event",
        "tenant enable acme",
    ] {
        printed.run(world, &args.split(' ').collect::<Vec<_>>(), 0);
    }
}

/// Days loaded, landed, changed, folded, and looked at.
fn load(world: &World, printed: &mut Printed) {
    let mut run = |args: &str, code| {
        let args: Vec<&str> = args.split(' ').collect();
        printed.run(world, &args, code)
    };
    let zenith = &world.tenants[1];
    zenith.run("UPDATE event SET note = repeat('x', 21) WHERE id = 6");
    let march = "--from 2024-03-01 --to 2024-03-05 --today 2024-03-06";
    run(&format!("backfill {march} --land"), 1);
    zenith.run("UPDATE event SET note = 'x' WHERE id = 6");
    world.tenants[0].run("UPDATE event SET amount = 7 WHERE id = 2");
    run(&format!("refresh {march} --land"), 0);
    run("land --from 2024-02-20 --to 2024-03-05", 0);
    run("sync --today 2024-04-10 --land", 0);
    run("unfold --from 2024-03-04", 0);
    run("fold --today 2024-04-10", 0);
    run(
        "rebuild --from 2024-03-01 --to 2024-03-05 --today 2024-04-10",
        0,
    );
    run("history", 0);
    run("history 1", 0);
    run("why acme event 2024-03-03", 0);
    run("verify --coverage --from 2024-03-01 --to 2024-03-05", 0);
    world.warehouse.run(&format!(
        "UPDATE acme.event_2024 SET amount = 8 WHERE id = 10;
         INSERT INTO acme.event_2024 VALUES (900, '2024-02-10 12:00+00', 'x', 1);
         DROP VIEW public.event; SET ROLE {};
         CREATE TABLE acme.event_2019 (at timestamptz, CONSTRAINT time_bounds CHECK
            (at >= '2019-01-01 00:00+00' AND at < '2020-01-01 00:00+00'))",
        world.owner
    ));
    run("status", 0);
    run("verify --against all --diff --show-values", 1);
    run("verify --repair --from 2024-03-03 --to 2024-03-03", 0);
}

/// The catalog written down, a second warehouse restored from it, and the end of the first.
fn recover(world: &World, lake: &str, printed: &mut Printed) {
    let taken = printed.run(world, &["snapshot"], 0);
    let path = taken["url"].as_str().unwrap().replace("file://", "");
    let document = std::fs::read_to_string(path).unwrap();
    printed
        .objects
        .push(serde_json::from_str(&document).unwrap());
    let second = World::new("json_docs_two", &[]);
    second.dayhaul(&["init"]).ok();
    printed.run(&second, &["restore", "--from", lake, "--catalog-only"], 0);
    printed.run(&second, &["restore", "--from", lake], 0);
    printed.run(&second, &["status", "--data"], 0);
    printed.run(world, &["template", "drop", "event", "--yes"], 0);
}

/// A run that is cancelled.
fn cancel(printed: &mut Printed) {
    let world = World::with_slow_events("json_docs_slow", &["acme"], "2024-03-10", (1, 1), 60.0);
    let running = world.start_backfill(&["--from", "2024-03-10", "--to", "2024-03-10"]);
    let begun = "SELECT count(*) FROM _wh.run";
    wait_until("it runs", || world.warehouse.one(begun) == "1");
    world.wait_for("SELECT progress IS NOT NULL FROM _wh.run");
    printed.run(&world, &["history"], 0);
    printed.run(&world, &["cancel", "1", "--wait"], 0);
    running.output().exits(130);
}

/// A run and a fold whose end the warehouse refuses to record.
fn no_endings(printed: &mut Printed) {
    let world = World::with_events("json_docs_end", &["acme"], "2024-01-01", 2, 1);
    refuse_endings(&world);
    let days = ["backfill", "--from", "2024-01-01", "--to", "2024-01-02"];
    printed.run(&world, &days, 1);
    printed.run(&world, &["fold"], 1);
}

/// Private servers.
fn servers(world: &World, printed: &mut Printed) {
    let folder = tempfile::tempdir().unwrap();
    // Whoever runs PostgreSQL passes through it.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let copy = folder.path().join("wh");
    let laptop = ["laptop", copy.to_str().unwrap()];
    let days = ["--keep", "--from", "2024-03-01", "--to", "2024-03-02"];
    let loaded = world.dayhaul(&[&laptop[..], &days, &["--json"]].concat());
    // Stopped before anything is asserted, so that no server outlives the test.
    let stopped = world.dayhaul(&[&laptop[..], &["--stop", "--json"]].concat());
    printed.keep(&laptop, loaded.ok());
    printed.keep(&laptop, stopped.ok());

    printed.run(world, &["bench", "--list"], 0);
    let below = tempfile::tempdir().unwrap();
    let small =
        "--setting fsync=off --rows-per-day 20 --days 4 --tenants 2 --repeat 1 --scenario readers";
    let mut bench = vec!["bench", "--dir", below.path().to_str().unwrap()];
    bench.extend(small.split(' '));
    printed.run(world, &bench, 0);
}

fn everything_printed() -> Printed {
    let mut printed = Printed::default();
    let world = World::new("json_docs", &["acme", "zenith"]);
    let lake = tempfile::tempdir().unwrap();
    let url = format!("file://{}", lake.path().display());
    world.configure(&format!("[landing]\nurl = \"{url}\"\n"));
    set_up(&world, &mut printed);
    load(&world, &mut printed);
    servers(&world, &mut printed);
    recover(&world, &url, &mut printed);
    cancel(&mut printed);
    no_endings(&mut printed);
    let all = commands(&world, &[]);
    assert!(all.len() > 25, "{all:?}");
    let missed: Vec<String> = all
        .into_iter()
        .filter(|c| !WITHOUT_JSON.contains(&c.as_str()))
        .filter(|c| {
            !printed
                .commands
                .iter()
                .any(|run| run.starts_with(c.as_str()))
        })
        .collect();
    assert_eq!(
        missed,
        Vec::<String>::new(),
        "commands without a look at their JSON"
    );
    printed
}

#[test]
fn every_example_is_json_with_the_keys_of_its_schema() {
    let page = Page::read(PAGE);
    let mut seen = Seen::default();
    let mut examples = 0;
    for section in &page.0 {
        for example in &section.examples {
            let schema = example["schema"].as_str().unwrap_or_default().to_owned();
            assert!(
                section.schemas.contains(&schema),
                "{schema} under {:?}",
                section.schemas
            );
            section.compare(example, "", &mut seen);
            examples += 1;
        }
    }
    assert!(examples >= 4, "{examples}");
    assert_eq!(seen.wrong, BTreeSet::new());
}

#[test]
fn every_key_that_is_printed_is_documented_and_every_documented_key_is_printed() {
    let page = Page::read(PAGE);
    let mut seen = Seen::default();
    for object in everything_printed().objects {
        let schema = object["schema"].as_str().unwrap_or_default();
        match page.of(schema) {
            Some(section) => page.0[section].compare(&object, "", &mut seen),
            None => _ = seen.wrong.insert(format!("`{schema}` is not documented")),
        }
    }
    for section in page.0.iter().filter(|s| !s.schemas.is_empty()) {
        for (path, keys) in &section.objects {
            // What is documented elsewhere was looked at there.
            let copied = (section.same.iter()).any(|(at, ..)| path.starts_with(at.as_str()));
            for name in keys.keys().filter(|_| !copied) {
                let key = (section.schemas[0].clone(), path.clone(), name.clone());
                if !seen.keys.contains(&key) {
                    let (schema, path, name) = key;
                    seen.wrong
                        .insert(format!("{schema} `{path}`: `{name}` was never printed"));
                }
            }
        }
    }
    let wrong: Vec<String> = seen.wrong.into_iter().collect();
    assert!(wrong.is_empty(), "docs/json.md:\n{}", wrong.join("\n"));
}
