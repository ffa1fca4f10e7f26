//! What a mail from cron says: nothing when all is well, and only what is not well otherwise.

use crate::support::server::{self, Holder};
use crate::support::world::{Output, World};

const TODAY: [&str; 2] = ["--today", "2024-03-20"];

fn loaded(name: &str, tenants: &[&str]) -> World {
    let world = World::with_events(name, tenants, "2024-02-08", 3, 5);
    let days = ["backfill", "--from", "2024-02-08", "--to", "2024-02-10"];
    world.dayhaul(&[&days[..], &TODAY].concat()).ok();
    world
}

#[test]
fn a_pair_that_another_run_holds_is_no_error_when_it_is_left_to_that_run() {
    let world = loaded("quiet_locked", &["acme", "beta"]);
    let key = xxhash_rust::xxh3::xxh3_64(b"dayhaul pair acme event").cast_signed();
    let lock = format!("SELECT pg_advisory_xact_lock({key})");
    let holder = Holder::new(&world.warehouse, &lock);
    for command in ["sync", "fold", "refresh"] {
        let days: &[&str] = match command {
            "refresh" => &["--from", "2024-02-08", "--to", "2024-02-10"],
            _ => &[],
        };
        for only in [&[][..], &["--tenant", "acme"]] {
            let run = |more: &[&str]| -> Output {
                let leave = [command, "--if-locked", "ok"];
                world.dayhaul(&[&leave, &TODAY[..], days, only, more].concat())
            };
            let quiet = run(&["-q"]).ok();
            assert_eq!((&*quiet.stdout, &*quiet.stderr), ("", ""), "{command}");
            let told = run(&[]).ok();
            assert!(told.stderr.contains("held by another session"), "{told:?}");
            assert!(!told.stderr.contains("error:"), "{told:?}");
            let json = run(&["--json"]).ok().json();
            assert_eq!(json["outcome"], "done", "{json}");
            assert_eq!(json["failures"][0]["not_tried"], true, "{json}");
        }
        // Without the option it is what keeps the command from doing its work.
        let fails = [command, "--tenant", "acme", "-q"];
        let failed = world.dayhaul(&[&fails, &TODAY[..], days].concat()).exits(4);
        assert!(failed.stderr.contains("locked: acme/event"), "{failed:?}");
    }
    holder.let_go();
}

#[test]
fn a_quiet_run_tells_of_the_pairs_that_failed_and_of_no_others() {
    let world = loaded("quiet_failed", &["acme", "beta", "gamma"]);
    let drop = format!("DROP DATABASE {} WITH (FORCE)", world.tenants[1].name);
    server::run(&server::url("postgres"), &drop);
    let sync = |more: &[&str]| world.dayhaul(&[&["sync"], &TODAY[..], more].concat());
    let quiet = sync(&["-q"]).exits(1);
    assert_eq!(quiet.stdout, "");
    assert!(quiet.stderr.contains("beta"), "{}", quiet.stderr);
    assert!(quiet.stderr.contains("error:"), "{}", quiet.stderr);
    for well in ["acme", "gamma"] {
        assert!(!quiet.stderr.contains(&format!("{well}/")), "{quiet:?}");
    }
    // The table is there for everybody else.
    assert!(sync(&[]).exits(1).stdout.contains("acme"));
}
