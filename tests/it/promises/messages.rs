//! What the program prints in typical situations, as snapshots: a change of words is a reviewed change.
//! `INSTA_UPDATE=always cargo test messages` accepts new ones.

use crate::support::events::{self, TEMPLATE, TODAY};
use crate::support::world::{Output, World};
use std::fmt::Write as _;

const DAY: &str = "2024-03-15";

/// Commands with what they print, in one snapshot.
struct Transcript<'a> {
    world: &'a World,
    text: String,
}

impl<'a> Transcript<'a> {
    fn of(world: &'a World) -> Transcript<'a> {
        Transcript {
            world,
            text: String::new(),
        }
    }

    /// Runs a command line; words are separated by spaces.
    fn run(&mut self, line: &str) -> &mut Self {
        let args: Vec<&str> = line.split(' ').collect();
        self.add(line, &self.world.dayhaul(&args));
        self
    }

    fn add(&mut self, line: &str, out: &Output) {
        let _ = writeln!(self.text, "$ dayhaul {line}");
        self.text.push_str(&out.stdout);
        if !out.stderr.is_empty() {
            let _ = writeln!(self.text, "[standard error]");
            self.text.push_str(&out.stderr);
        }
        let _ = writeln!(self.text, "[exit code {}]\n", out.code);
    }

    #[track_caller]
    fn is_as_reviewed(&self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let text = masked(self.world, &self.text);
        settings.bind(|| insta::assert_snapshot!(format!("messages_{name}"), text));
    }
}

/// The text without what differs from run to run: paths, ports, names of databases and roles, hosts, times, durations.
fn masked(world: &World, text: &str) -> String {
    let mut text = text.to_owned();
    let folder = world.folder().canonicalize().unwrap();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let port = crate::support::server::port().to_string();
    let mut known = vec![
        (folder.display().to_string(), "<folder>"),
        (world.folder().display().to_string(), "<folder>"),
        (world.owner.clone(), "<owner>"),
        (world.reader.clone(), "<reader>"),
        (world.warehouse.name.clone(), "<warehouse>"),
        (format!(":{port}"), ":<port>"),
        (format!("port {port}"), "port <port>"),
        (host.trim().to_owned(), "<host>"),
    ];
    known.extend(world.tenants.iter().map(|t| (t.name.clone(), "<source>")));
    for (what, name) in known.iter().filter(|(what, _)| what.len() > 1) {
        text = text.replace(what.as_str(), name);
    }
    // How many lines of progress there are depends on the machine.
    let lines = text.lines().filter(|line| !line.contains(" rows/s, "));
    let lines: Vec<String> = lines.map(masked_line).collect();
    lines.join("\n")
}

/// A line without times, process ids and decimal numbers that are not sizes.
fn masked_line(line: &str) -> String {
    let mut masked = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let before = masked.chars().next_back();
        let starts = before.is_none_or(|c| !c.is_alphanumeric() && c != '.');
        let length = if starts { length_of_time(rest) } else { None };
        if let Some(length) = length {
            masked.push_str("<time>");
            rest = &rest[length..];
            continue;
        }
        if let Some(length) = if starts {
            length_of_decimal(rest)
        } else {
            None
        } {
            // Right-aligned: how wide the column is depends on the number.
            let width = masked.trim_end_matches(' ').len();
            if masked.len() > width + 2 {
                masked.truncate(width + 2);
            }
            masked.push_str("x.x");
            rest = &rest[length..];
            continue;
        }
        if masked.ends_with("pid ") && c.is_ascii_digit() {
            masked.push_str("<pid>");
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            continue;
        }
        masked.push(c);
        rest = &rest[c.len_utf8()..];
    }
    masked
}

/// `2024-03-15 12:00:00`, with or without seconds, fraction and zone.
fn length_of_time(text: &str) -> Option<usize> {
    let shape = "dddd-dd-dd dd:dd";
    let fits = |(shape, c): (char, char)| match shape {
        'd' => c.is_ascii_digit(),
        ' ' => c == ' ' || c == 'T',
        other => c == other,
    };
    if text.chars().count() < shape.len() || !shape.chars().zip(text.chars()).all(fits) {
        return None;
    }
    let end = text[shape.len()..].find(|c: char| !c.is_ascii_digit() && !":.+Z".contains(c));
    Some(end.map_or(text.len(), |end| shape.len() + end))
}

/// `0.42`, unless it is a size or part of a longer word.
fn length_of_decimal(text: &str) -> Option<usize> {
    let whole = text
        .find(|c: char| !c.is_ascii_digit())
        .filter(|n| *n > 0)?;
    let fraction = text[whole..].strip_prefix('.')?;
    let digits = fraction
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(fraction.len());
    let after = &fraction[digits..];
    let word = after.starts_with(|c: char| c.is_alphanumeric() || "._-".contains(c));
    let size = [" KiB", " MiB", " GiB"]
        .iter()
        .any(|unit| after.starts_with(unit));
    (digits > 0 && !word && !size).then_some(whole + 1 + digits)
}

#[test]
fn wrong_use() {
    let world = World::new("msg_use", &[]);
    let mut said = Transcript::of(&world);
    said.run("backfil --last 3")
        .run("backfill --lsat 3")
        .run("backfill")
        .run("backfill --last 3 --year 2023")
        .run("backfill --last 0")
        .run("backfill --year 24")
        .run("backfill --to 2024-03-15")
        .run("backfill --from 2024-03-15 --to 2024-03-01")
        .run("backfill --from 2024-02-30")
        .run("backfill --last 3 --to parquet --land")
        .run("backfill --last 3 --to parquet --to both")
        .run("verify --last 3 --to parquet")
        .run("verify --last 3 --diff --against ledger")
        .run("verify --last 3 --repair --against parquet")
        .run("unfold --from 2024-03-15 --to 2024-03-01")
        .run("restore --from yesterday")
        .run("restore --from 2024-03-15 --from 2024-03-16")
        .run("restore --into postgres://me:secret@127.0.0.1:1/dev")
        .run("tenant add Acme --url postgres://127.0.0.1/x")
        .run("tenant add acme --url postgres://me:secret@127.0.0.1/x")
        .run("demo --json")
        .run("bench --setting work_mem");
    said.is_as_reviewed("wrong_use");
}

#[test]
fn wrong_configuration() {
    let world = World::with_events("msg_config", &["acme"], DAY, 1, 1);
    let mut said = Transcript::of(&world);
    said.run("status --config none.toml");
    world.configure("[load]\njob = 3\n");
    said.run("status");
    world.configure("[load]\njobs = 0\n");
    said.run("status");
    world.configure("[landing]\nurl = \"ftp://lake\"\n");
    said.run("land");
    world.configure("");
    said.run("land")
        .run("snapshot")
        .run("restore")
        .run("restore --from ./none");
    world.write(
        "dayhaul.toml",
        "[warehouse]\nurl = \"postgres://me@127.0.0.1:1/x\"\n",
    );
    said.run("status");
    world.write("dayhaul.toml", "");
    said.run("status");
    said.is_as_reviewed("wrong_configuration");
}

#[test]
fn the_catalog() {
    let world = World::new("msg_catalog", &["acme"]);
    events::create(&world.tenants[0]);
    let mut said = Transcript::of(&world);
    said.run("status")
        .run("init --dry-run")
        .run("init")
        .run("init");
    said.run("status")
        .run("tenant list")
        .run("template list")
        .run("history")
        .run("history 7")
        .run("cancel 7")
        .run("backfill --last 1")
        .run("tenant show zenith");
    world.write("templates/event.sql", TEMPLATE);
    let url = world.tenants[0].url();
    said.run("template load templates/event.sql")
        .run("template load templates/event.sql")
        .run(&format!(
            "tenant add acme --url {url} --template event --no-test"
        ))
        .run(&format!("tenant add acme --url {url}"))
        .run("tenant show acme")
        .run("tenant test acme")
        .run("tenant test acmee")
        .run("tenant enable acme --template evnt")
        .run("tenant disable acme")
        .run("why acme event 2024-03-15")
        .run("backfill --tenant acme --last 1")
        .run("tenant enable acme")
        .run("template drop event")
        .run("template drop event --yes");
    said.is_as_reviewed("catalog");
}

#[test]
fn templates() {
    let world = World::with_events("msg_template", &["acme"], DAY, 2, 3);
    let mut said = Transcript::of(&world);
    world.write(
        "wrong_type.sql",
        &TEMPLATE.replace("\"bigint\"", "\"bigit\""),
    );
    world.write(
        "wrong_column.sql",
        &TEMPLATE.replace("amount = ", "amonut = "),
    );
    world.write("no_window.sql", &TEMPLATE.replace("at >= {from} AND ", ""));
    world.write("wrong_key.sql", &TEMPLATE.replace("unique =", "uniqe ="));
    world.write("narrow.sql", &TEMPLATE.replace("varchar(20)", "varchar(3)"));
    world.write(
        "query.sql",
        "SELECT id, at, note FROM event WHERE at >= {from} AND at < {to}",
    );
    said.run("template lint none.sql")
        .run("template lint wrong_type.sql")
        .run("template lint no_window.sql")
        .run("template lint wrong_key.sql")
        .run("template lint wrong_column.sql --tenant acme")
        .run("template load wrong_type.sql")
        .run("template new short --query query.sql --tenant acme")
        .run("template new short --query query.sql --tenant acme")
        .run("template preview event --tenant acme --day 2024-03-15 --limit 2")
        .run("template preview event --tenant acme --day 2024-01-01")
        .run("template show event");
    said.is_as_reviewed("templates");
}

#[test]
fn runs() {
    let world = World::with_events("msg_runs", &["acme", "zenith"], DAY, 5, 4);
    let mut said = Transcript::of(&world);
    let mut at = |line: &str| {
        said.run(&format!("{line} --today {TODAY}"));
    };
    at("backfill --last 5");
    at("backfill --last 5");
    at("backfill --from 2024-03-19 --to 2024-03-21 --tenant acme");
    world.tenants[0]
        .run("UPDATE event SET amount = 7 WHERE id = 1; DELETE FROM event WHERE id = 2");
    at("verify --last 5 --tenant acme --diff");
    at("verify --last 5 --tenant acme --against ledger");
    at("refresh --last 5 --tenant acme");
    at("verify --from 2024-03-01 --to 2024-03-19 --tenant acme --coverage");
    world
        .warehouse
        .run("DROP TABLE acme.event_2024_03_16 CASCADE");
    at("verify --last 5 --tenant acme --against ledger");
    at("verify --last 5 --tenant acme --repair");
    at("fold --dry-run");
    at("fold --year 2024 --tenant zenith");
    at("fold --tenant acme");
    said.run("unfold --from 2024-03-16 --tenant zenith");
    let mut at = |line: &str| {
        said.run(&format!("{line} --today {TODAY}"));
    };
    at("sync --tenant acme");
    at("status --last 7");
    at("why acme event 2024-03-15");
    at("why acme event 2024-03-01");
    said.run("history").run("history 1").run("cancel 1");
    said.is_as_reviewed("runs");
}

#[test]
fn failures() {
    let world = World::with_events("msg_failures", &["acme", "zenith"], DAY, 3, 4);
    let mut said = Transcript::of(&world);
    world.tenants[0].run("UPDATE event SET note = repeat('x', 30) WHERE id = 1");
    world.tenants[1].run("ALTER TABLE event DROP COLUMN note");
    let days = "--from 2024-03-15 --to 2024-03-17 --today 2024-03-20";
    said.run(&format!("backfill {days}"))
        .run(&format!("backfill --tenant acme --show-values {days}"))
        .run("why acme event 2024-03-15 --today 2024-03-20")
        .run("status --check --tenant acme --from 2024-03-15 --to 2024-03-17")
        .run("history --failed --tenant acme --last 1");
    world
        .warehouse
        .run("UPDATE _wh.tenant SET url = 'postgres://me@127.0.0.1:1/none' WHERE name = 'zenith'");
    said.run(&format!("backfill --tenant zenith {days}"))
        .run("tenant test zenith")
        .run(&format!("backfill --template evnt {days}"));
    said.is_as_reviewed("failures");
}

#[test]
fn locked_pairs() {
    let world = World::new("msg_locked", &["acme"]);
    let world = world.filled(&["acme"], &events::gated(), DAY, (3, 4));
    let closed = events::close(&world.tenants[0]);
    let days = ["--from", "2024-03-15", "--to", "2024-03-17"];
    let running = world.start_backfill(&days);
    world.wait_for("SELECT EXISTS (SELECT FROM _wh.lease)");
    let mut said = Transcript::of(&world);
    let line = format!("backfill --today {TODAY} {}", days.join(" "));
    said.run(&line)
        .run(&format!("{line} --if-locked ok"))
        .run(&format!("fold --year 2024 --today {TODAY}"))
        .run("cancel 1")
        .run("cancel 1");
    world.wait_for("SELECT ended_at IS NOT NULL FROM _wh.run WHERE id = 1");
    drop(closed);
    said.add(&line, &running.output());
    said.run("history 1");
    said.is_as_reviewed("locked");
}

#[test]
fn landing_and_restore() {
    let world = World::with_events("msg_landing", &["acme"], DAY, 3, 4);
    world.configure(&format!(
        "[landing]\nurl = \"file://{}/lake\"\n",
        world.folder().display()
    ));
    std::fs::create_dir(world.folder().join("lake")).unwrap();
    let mut said = Transcript::of(&world);
    let mut at = |line: &str| {
        said.run(&format!("{line} --today {TODAY}"));
    };
    at("backfill --from 2024-03-15 --to 2024-03-16 --land");
    at("backfill --from 2024-03-17 --to 2024-03-17 --to parquet");
    at("land");
    at("land --rewrite");
    let file = "lake/event/tenant=acme/date=2024-03-15/data.parquet";
    std::fs::remove_file(world.folder().join(file)).unwrap();
    at("verify --against parquet");
    at("restore --no-snapshot --from ./lake --last 1");
    at("restore --no-snapshot --from ./lake --reset --yes");
    said.is_as_reviewed("landing");
}
