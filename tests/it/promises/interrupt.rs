//! Ctrl-C and SIGTERM end every command, from its first moment on.

use crate::support::world::World;
use rustix::process::Signal;
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[test]
fn a_signal_before_the_run_has_begun_ends_the_command_with_130() {
    let world = World::new("interrupt", &[]);
    for args in [
        &["status"][..],
        &["backfill", "--last", "1"],
        &["cancel", "1"],
    ] {
        for signal in [Signal::INT, Signal::TERM] {
            // A warehouse that accepts the connection and never answers.
            let silent = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("postgres://me@{}/x", silent.local_addr().unwrap());
            let configuration = format!("[warehouse]\nurl = \"{url}\"\n");
            world.write("dayhaul.toml", &configuration);
            let running = world.start(args);
            // Connected: far enough to listen to signals.
            let connection = silent.accept().unwrap();
            let begun = Instant::now();
            running.signal(signal);
            let out = running.output();
            assert_eq!(out.code, 130, "{args:?} {signal:?}: {}", out.stderr);
            assert!(
                begun.elapsed() < Duration::from_secs(2),
                "{args:?} {signal:?}"
            );
            assert!(out.stderr.contains("error: interrupted"), "{}", out.stderr);
            drop(connection);
        }
    }
}
