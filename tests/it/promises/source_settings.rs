//! Whatever settings a source's login has, a query means the same, and ends.

use crate::support::events::{self, TODAY};
use crate::support::locale;
use crate::support::login::{reader, set};
use crate::support::server::{self, Database};
use crate::support::world::{Output, World};

const DAYS: [&str; 4] = ["--from", "2024-03-01", "--to", "2024-03-05"];

/// Five days of four events, and the template.
fn world(name: &str, template: &str) -> World {
    let world = World::new(name, &["acme"]);
    events::create(&world.tenants[0]);
    events::fill(&world.tenants[0], "2024-03-01", 5, 4);
    world.dayhaul(&["init"]).ok();
    world.write("event.sql", template);
    world.dayhaul(&["template", "load", "event.sql"]).ok();
    world
}

fn add(world: &World, login: &str, more: &[&str]) -> Output {
    let url = world.tenants[0].url_as(login);
    let args = [
        "tenant",
        "add",
        "acme",
        "--url",
        &url,
        "--template",
        "event",
    ];
    world.dayhaul(&[&args[..], more].concat())
}

fn sync(world: &World, command: &str) -> Output {
    world.dayhaul(&[&[command, "--today", TODAY], &DAYS[..]].concat())
}

const PREVIEW: [&str; 8] = [
    "template",
    "preview",
    "event.sql",
    "--tenant",
    "acme",
    "--day",
    "2024-03-02",
    "--json",
];

#[track_caller]
fn names_the_policy(out: &Output) {
    for words in ["row-level security", "\"event\"", "BYPASSRLS"] {
        let said = out.stderr.contains(words) || out.stdout.contains(words);
        assert!(said, "{words}: {out:?}");
    }
}

#[test]
fn a_policy_that_would_hide_rows_is_an_error_and_deletes_nothing() {
    let world = world("policy", events::TEMPLATE);
    let source = &world.tenants[0];
    let login = reader(source, &["public"]);
    add(&world, &login, &[]).ok();
    sync(&world, "backfill").ok();
    assert_eq!(world.totals().0, "20");

    source.run(
        "ALTER TABLE event ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON event USING (id % 2 = 0)",
    );
    names_the_policy(&sync(&world, "refresh").exits(1));
    names_the_policy(&world.dayhaul(&["verify"]).exits(1));
    names_the_policy(&world.dayhaul(&["tenant", "test", "acme"]).exits(1));
    names_the_policy(&world.dayhaul(&PREVIEW).exits(1));
    let lint = ["template", "lint", "event.sql", "--tenant", "acme"];
    names_the_policy(&world.dayhaul(&lint).exits(1));
    assert_eq!(world.totals().0, "20");

    source.run(&format!("ALTER ROLE \"{login}\" BYPASSRLS"));
    sync(&world, "refresh").ok();
    world.dayhaul(&["verify"]).ok();
    assert_eq!(world.totals().0, "20");
}

#[test]
fn a_forced_policy_is_an_error_for_the_owner_and_a_view_of_who_sees_all_is_a_way_out() {
    let world = world("forced", events::TEMPLATE);
    let source = &world.tenants[0];
    let owner = reader(source, &[]);
    source.run(&format!(
        "ALTER TABLE event OWNER TO \"{owner}\"; ALTER TABLE event ENABLE ROW LEVEL SECURITY; \
         ALTER TABLE event FORCE ROW LEVEL SECURITY"
    ));
    names_the_policy(&add(&world, &owner, &[]).exits(1));
    // Also when nothing was tested: no day is in the ledger.
    add(&world, &owner, &["--no-test"]).ok();
    names_the_policy(&sync(&world, "backfill").exits(1));
    assert_eq!(
        world
            .warehouse
            .one("SELECT count(*) FROM _wh.unit WHERE state = 'loaded'"),
        "0"
    );
    source.run(&format!(
        "CREATE VIEW seen AS SELECT * FROM event; GRANT SELECT ON seen TO \"{owner}\""
    ));
    world.write(
        "event.sql",
        &events::TEMPLATE.replace("FROM event", "FROM seen"),
    );
    world.dayhaul(&["template", "load", "event.sql"]).ok();
    sync(&world, "backfill").ok();
    assert_eq!(world.totals().0, "20");
}

/// A query whose rows or values depend on nearly every setting that a login may have.
const TOUCHY: &str = r#"/*
time_column = "at"

[columns]
id = "bigint"
at = "timestamptz"
words = "text[]"
*/
SELECT id, at, ARRAY[
    note || '\n', amount::text, '1/2/2024'::date::text, at::text, (interval '1 day 2:03')::text, '\x00ff'::bytea::text,
    ('{NULL}'::text[])[1], (NULL::text = NULL)::text, (1.0::float8 / 3)::text, E'it\'s',
    to_char(1234.5, 'L9G999D99'), to_char(at, 'TMMonth'), quote_ident('plain'), current_user::text, session_user::text,
    '2024-01-01 00:00 EST'::timestamptz::text, {xml},
    (SELECT count(*)::text FROM event)
] AS words
FROM event WHERE at >= {from} AND at < {to}
"#;

/// What a server that was built with XML adds to it.
const XML: &str = r"xmlelement(name x, '\x00ff'::bytea)::text || '<a/><b/>'::xml::text";

fn touchy() -> String {
    let built = server::rows(&server::url("postgres"), "SELECT '<a/>'::xml").is_ok();
    TOUCHY.replace("{xml}", if built { XML } else { "''" })
}

/// What an administrator may have given the login, or its database.
const ODD: [(&str, &str); 21] = [
    ("TimeZone", "'Asia/Tokyo'"),
    ("timezone_abbreviations", "'Australia'"),
    ("DateStyle", "'German, DMY'"),
    ("IntervalStyle", "'iso_8601'"),
    ("extra_float_digits", "-10"),
    ("bytea_output", "'escape'"),
    ("standard_conforming_strings", "off"),
    ("escape_string_warning", "off"),
    ("backslash_quote", "off"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("quote_all_identifiers", "on"),
    ("xmlbinary", "hex"),
    ("xmloption", "document"),
    ("gin_fuzzy_search_limit", "1"),
    ("default_transaction_isolation", "'serializable'"),
    ("default_transaction_deferrable", "on"),
    ("exit_on_error", "on"),
    ("lock_timeout", "'1ms'"),
    ("idle_in_transaction_session_timeout", "'1ms'"),
    ("row_security", "on"),
];

#[test]
fn a_login_with_odd_settings_reads_the_same_rows() {
    let world = world("odd_settings", &touchy());
    let source = &world.tenants[0];
    let login = reader(source, &["public"]);
    add(&world, &login, &[]).ok();
    let rows = |world: &World| {
        let json = world.dayhaul(&PREVIEW).ok().json();
        assert_eq!(json["rows"].as_array().unwrap().len(), 4);
        json["rows"].clone()
    };
    let plain = rows(&world);
    set(source, &login, &ODD);
    if locale::german() {
        let german = format!("'{}'", locale::GERMAN);
        for name in ["lc_monetary", "lc_numeric", "lc_time"] {
            set(source, &login, &[(name, &german)]);
        }
    }
    // A role of another, with fewer rights even.
    let other = reader(source, &[]);
    source.run(&format!("GRANT \"{other}\" TO \"{login}\""));
    set(source, &login, &[("role", &format!("\"{other}\""))]);
    assert_eq!(
        source_value(source, &login, "SELECT current_user"),
        other,
        "the login does not have its settings"
    );
    assert_eq!(rows(&world), plain);
    sync(&world, "backfill").ok();
    world.dayhaul(&["verify"]).ok();
}

fn source_value(source: &Database, login: &str, sql: &str) -> String {
    let rows = server::rows(&source.url_as(login), sql).unwrap();
    rows[0][0].clone().unwrap()
}

#[test]
fn a_logins_time_limits_do_not_end_a_query() {
    let world = world("odd_limits", &events::slow(0.15));
    let source = &world.tenants[0];
    let login = reader(source, &["public"]);
    set(
        source,
        &login,
        &[
            ("statement_timeout", "'300ms'"),
            ("lock_timeout", "'100ms'"),
            ("idle_in_transaction_session_timeout", "'100ms'"),
        ],
    );
    if source.one("SELECT current_setting('server_version_num')::int >= 170000") == "t" {
        set(source, &login, &[("transaction_timeout", "'300ms'")]);
    }
    add(&world, &login, &["--no-test"]).ok();
    let report = world
        .dayhaul(&[&["backfill", "--json", "--today", TODAY], &DAYS[..]].concat())
        .ok()
        .json();
    let units = report["units"].as_array().unwrap();
    assert!(units.iter().all(|unit| unit["tries"] == 1), "{report}");
    sync(&world, "refresh").ok();
    world.dayhaul(&["verify"]).ok();
    assert_eq!(world.totals().0, "20");
}
