//! A hint names the command that helps: it is run, and then what failed succeeds.

use crate::support::world::{Output, World};

const DAYS: [&str; 6] = [
    "--from",
    "2024-03-08",
    "--to",
    "2024-03-09",
    "--today",
    "2024-03-20",
];

/// Runs every `dayhaul …` command of the last hint, with `…` replaced by `value`.
fn follow_hint(world: &World, failed: &Output, value: &str) {
    let hint = failed.stderr.rsplit("hint: ").next().unwrap();
    let commands: Vec<_> = hint
        .split('`')
        .filter(|t| t.starts_with("dayhaul "))
        .collect();
    assert!(!commands.is_empty(), "{}", failed.stderr);
    for command in commands {
        let command = command.replace('…', value).replace("VALUE", value);
        let args: Vec<_> = command.split(' ').skip(1).collect();
        world.dayhaul(&args).ok();
    }
}

#[test]
fn what_is_disabled_is_enabled_by_the_command_of_the_hint() {
    let world = World::with_events("hint_enable", &["acme", "beta"], "2024-03-08", 2, 3);
    let pair = ["--template", "event"];
    let acme = ["--tenant", "acme"];
    let switch = |args: &[&str]| world.dayhaul(&[&["tenant", "disable"], args].concat()).ok();
    let the_tenant = || drop(switch(&["acme"]));
    let the_pair = || drop(switch(&["acme", "--template", "event"]));
    let both = || {
        the_pair();
        the_tenant();
    };
    let backfill = |more: &[&str]| world.dayhaul(&[&["backfill"], &DAYS[..], more].concat());
    let others: [&dyn Fn(); 3] = [&the_tenant, &the_pair, &both];
    for disable in others {
        for selection in [&acme[..], &[acme, pair].concat()[..]] {
            disable();
            let refused = backfill(selection).exits(2);
            follow_hint(&world, &refused, "");
            backfill(selection).ok();
        }
        // Nothing at all is enabled.
        for selection in [&[][..], &pair] {
            disable();
            switch(&["beta", "--template", "event"]);
            let refused = backfill(selection).exits(2);
            follow_hint(&world, &refused, "");
            backfill(selection).ok();
            world.dayhaul(&["tenant", "enable", "acme"]).ok();
            world
                .dayhaul(&["tenant", "enable", "acme", "--template", "event"])
                .ok();
            world
                .dayhaul(&["tenant", "enable", "beta", "--template", "event"])
                .ok();
        }
    }
}

#[test]
fn a_variable_that_a_tenant_lacks_is_set_and_the_others_stay() {
    let world = World::with_events("hint_var", &["acme"], "2024-03-08", 2, 3);
    let template = |more: &str| {
        let query = format!("WHERE {more} AND ");
        crate::support::events::TEMPLATE.replacen("WHERE ", &query, 1)
    };
    world.write("noted.sql", &template("{var:one} < {var:two-b}"));
    world.dayhaul(&["template", "load", "noted.sql"]).ok();
    let enable = ["tenant", "enable", "acme", "--template", "noted"];
    let refused = world.dayhaul(&enable).exits(2);
    follow_hint(&world, &refused, "1");
    world.dayhaul(&enable).ok();
    world
        .dayhaul(&["tenant", "set", "acme", "--var", "two-b=2"])
        .ok();
    let shown = world
        .dayhaul(&["tenant", "show", "acme", "--json"])
        .ok()
        .json();
    assert_eq!(shown["tenant"]["vars"]["one"], "1", "{shown}");
    assert_eq!(shown["tenant"]["vars"]["two-b"], "2", "{shown}");
    for wrong in [&["--var", "client"][..], &["--var", "a=1", "--var", "a=2"]] {
        world
            .dayhaul(&[&["tenant", "set", "acme"], wrong].concat())
            .exits(2);
    }
}
