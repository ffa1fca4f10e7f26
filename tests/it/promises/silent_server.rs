//! A server that answers nothing any more is not waited for, and one that computes is.

use crate::support::events::TODAY;
use crate::support::server::{self, Holder};
use crate::support::switch::Switch;
use crate::support::world::World;
use std::time::{Duration, Instant};

/// Long after the server was found to be silent, and long before anybody's patience ends.
const AT_MOST: Duration = Duration::from_secs(300);

#[test]
fn a_server_that_falls_silent_in_the_middle_of_a_command_is_given_up() {
    let world = World::with_events("silent", &["acme"], "2024-03-01", 2, 3);
    let switch = Switch::before(server::port());
    let url = world.warehouse.url();
    let port = format!(":{}", server::port());
    assert!(url.contains(&port), "{url}");
    world.write(
        "behind.toml",
        &format!(
            "[warehouse]\nurl = \"{}\"\nowner_role = \"{}\"\nreader_role = \"{}\"\n",
            url.replace(&port, &format!(":{}", switch.port())),
            world.owner,
            world.reader
        ),
    );
    let status = ["status", "--config", "behind.toml", "--today", TODAY];
    switch.hold_at(usize::MAX);
    world.dayhaul(&status).ok();
    // One of its later statements (how many of them come in one piece differs from run to run): the proxy still takes what is
    // sent, and nothing comes back.
    switch.hold_at(switch.sent() * 2 / 3);
    let begun = Instant::now();
    let out = world.dayhaul(&status).exits(3);
    assert!(switch.is_held());
    assert!(
        out.stderr.contains("answers nothing any more"),
        "{}",
        out.stderr
    );
    assert!(begun.elapsed() < AT_MOST, "{:?}", begun.elapsed());
}

#[test]
fn a_statement_that_waits_for_a_lock_is_waited_for() {
    let world = World::with_events("computing", &["acme"], "2024-03-01", 2, 3);
    let holder = Holder::new(
        &world.warehouse,
        "LOCK TABLE _wh.unit IN ACCESS EXCLUSIVE MODE",
    );
    let run = world.start(&["status", "--today", TODAY]);
    // Longer than it takes to ask whether anybody is there.
    std::thread::sleep(Duration::from_secs(45));
    drop(holder);
    run.output().ok();
}
