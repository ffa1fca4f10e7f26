//! An interrupt at any statement of any writing command: no part of a transaction is committed.

use super::sources::{self, FIRST, LAST, TODAY};
use super::stage::Stage;
use crate::support::random::Random;
use std::time::Instant;

/// Commands that are interrupted without `scripts/campaign`.
const COMMANDS_IN_THE_SUITE: usize = 3;

/// What the command finds.
enum Before {
    /// Nothing, not even the catalog.
    Empty,
    /// Templates and tenants.
    Prepared,
    /// Days that have changed since they were loaded, some of them folded.
    Changed,
}

const COMMANDS: [(&str, Before); 10] = [
    ("init", Before::Empty),
    ("sync --today {today}", Before::Prepared),
    ("backfill {all} --today {today} --land", Before::Prepared),
    ("sync --today {today} --lookback 12 --land", Before::Changed),
    ("refresh {all} --today {today}", Before::Changed),
    ("rebuild {all} --today {today}", Before::Changed),
    ("backfill {all} --today {today} --reload", Before::Changed),
    ("unfold --from 2023-12-28", Before::Changed),
    ("fold --today {today}", Before::Changed),
    ("verify --repair {all} --today {today}", Before::Changed),
];

#[test]
fn interrupted_at_any_statement_the_catalog_agrees_with_the_tables() {
    let end = super::end();
    let mut random = Random::new();
    let stage = Stage::set(&mut random);
    let mut interrupts = 0;
    let mut commands = 0;
    while end.map_or(commands < COMMANDS_IN_THE_SUITE, |end| Instant::now() < end) {
        let (command, before) = &COMMANDS[super::command::index(&mut random, COMMANDS.len())];
        commands += 1;
        interrupts += interrupted(&stage, command, before, &mut random);
    }
    println!("{interrupts} of {commands} commands were interrupted");
}

fn interrupted(stage: &Stage, command: &str, before: &Before, random: &mut Random) -> usize {
    let words = command
        .replace("{all}", &format!("--from {FIRST} --to {LAST}"))
        .replace("{today}", TODAY);
    let args: Vec<&str> = words.split(' ').collect();
    prepare(stage, before, random);
    stage.to_warehouse.hold_at(usize::MAX);
    stage.world.dayhaul(&args);
    let statements = stage.to_warehouse.sent();
    if matches!(before, Before::Changed) {
        stage.good_run();
    }
    prepare(stage, before, random);
    let at = 1 + super::command::index(random, statements);
    println!("dayhaul {words}: before message {at} of {statements}");
    let interrupts = usize::from(stage.interrupted_before(at, &args));
    if args[0] == "init" {
        stage.prepare();
    }
    stage.the_catalog_agrees();
    if args[0] != "init" {
        stage.good_run();
        stage.every_day_equals_its_source();
    }
    interrupts
}

fn prepare(stage: &Stage, before: &Before, random: &mut Random) {
    match before {
        Before::Empty => stage.empty(),
        Before::Prepared => {
            stage.empty();
            stage.prepare();
        }
        Before::Changed => {
            for source in &stage.world.tenants {
                sources::change(source, random);
            }
        }
    }
}
