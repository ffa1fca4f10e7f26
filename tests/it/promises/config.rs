//! The configuration, as the built binary meets it.

use crate::support::world::{Output, World, command};

#[test]
fn an_unknown_key_stops_before_anything_is_done() {
    let world = World::new("cfg_key", &[]);
    world.configure("[load]\njob = 3\n");
    let out = world.dayhaul(&["init"]).exits(2);
    assert!(
        out.stderr
            .contains("dayhaul.toml:6: unknown key `job` in `[load]`"),
        "{}",
        out.stderr
    );
    assert!(
        out.stderr.contains("hint: did you mean `jobs`?"),
        "{}",
        out.stderr
    );
    assert_eq!(world.warehouse.one("SELECT to_regnamespace('_wh')"), "");
}

#[test]
fn the_environment_overrides_the_file() {
    let world = World::new("cfg_env", &[]);
    world.write(
        "other.toml",
        "[warehouse]\nurl = \"postgres://nobody@127.0.0.1:1/none\"\n",
    );
    let out = Output::of(
        world
            .command(&["init", "--config", "other.toml", "--dry-run"])
            .env("DAYHAUL_WAREHOUSE_URL", world.warehouse.url()),
    )
    .ok();
    assert!(out.stdout.contains(&world.warehouse.name), "{}", out.stdout);
    let out = Output::of(world.command(&["init"]).env("DAYHAUL_WAREHOUSE_OWNER", "x")).exits(2);
    assert!(
        out.stderr
            .contains("did you mean `DAYHAUL_WAREHOUSE_OWNER_ROLE`?"),
        "{}",
        out.stderr
    );
}

#[test]
fn no_warehouse_is_said_with_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let out = Output::of(&mut command(folder.path(), &["init"])).exits(2);
    assert!(
        out.stderr.contains("DAYHAUL_WAREHOUSE_URL"),
        "{}",
        out.stderr
    );
    let out = Output::of(&mut command(
        folder.path(),
        &["init", "--config", "none.toml"],
    ))
    .exits(2);
    assert!(out.stderr.contains("none.toml"), "{}", out.stderr);
}

#[test]
fn a_password_in_the_file_is_refused_with_the_line_to_use() {
    let world = World::new("cfg_pw", &[]);
    let url = world
        .warehouse
        .url()
        .replace("postgres@", "postgres:hunter2@");
    world.write("dayhaul.toml", &format!("[warehouse]\nurl = \"{url}\"\n"));
    let out = world.dayhaul(&["init", "--verbose"]).exits(2);
    assert!(
        out.stderr.contains("password = \"env:WAREHOUSE_PASSWORD\""),
        "{}",
        out.stderr
    );
    assert!(!out.stderr.contains("hunter2"), "{}", out.stderr);
    // A reference that is a value instead is refused, too, and not repeated.
    world.configure("password = \"hunter2\"\n");
    let out = world.dayhaul(&["init", "--verbose"]).exits(2);
    assert!(!out.stderr.contains("hunter2"), "{}", out.stderr);
}

#[test]
fn wrong_use_ends_with_2_and_a_closed_reader_is_no_error() {
    let world = World::new("cfg_use", &[]);
    world.dayhaul(&["frobnicate"]).exits(2);
    world.dayhaul(&["--version"]).ok();
    // Standard output whose reader has gone: the read end of the pipe is dropped at once.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let out = Output::of(world.command(&["init", "--dry-run"]).stdout(writer));
    assert_eq!(out.code, 0, "{}", out.stderr);
}
