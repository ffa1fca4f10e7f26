//! Every value that may be hauled comes out at the other end as the same bytes, whatever way it took.

use crate::support::digests;
use crate::support::world::World;
use std::fmt::Write as _;

/// What a column is at the source, in the template and in the template's query, and values for it as SQL.
struct Sample {
    source: &'static str,
    declared: &'static str,
    query: &'static str,
    values: &'static [&'static str],
}

const fn plain(ty: &'static str, values: &'static [&'static str]) -> Sample {
    Sample {
        source: ty,
        declared: ty,
        query: "",
        values,
    }
}

const SAMPLES: &[Sample] = &[
    plain(
        "numeric",
        &[
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "0.00001000",
            "0",
            "0.000",
            "-0.5",
            "10000",
            "9999.9999",
            "123456789012345678901234567890.123456789",
            "('1' || repeat('0', 1000) || '.' || repeat('7', 500))::numeric",
            "'1e-16000'",
            "'-9e130000'",
            "null",
        ],
    ),
    // The display scale at the source is not the column's.
    Sample {
        source: "numeric",
        declared: "numeric(12,2)",
        query: "",
        values: &[
            "1",
            "1.5",
            "1.50",
            "1.500000",
            "0",
            "0.0000",
            "-0.1",
            "1e9",
            "9999999999.99",
            "'NaN'",
        ],
    },
    Sample {
        source: "numeric(30,10)",
        declared: "{ type = \"numeric(8,1)\", round = true }",
        query: "",
        values: &["1.04", "1.05", "-1.0499999999", "1234567.94", "null"],
    },
    plain(
        "timestamp",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 00:00 BC'",
            "'0044-03-15 12:00:00.123456 BC'",
            "'294276-12-31 23:59:59.999999'",
        ],
    ),
    plain(
        "timestamptz",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-02 00:00+00 BC'",
            "'294276-12-31 23:59:59.999999+00'",
        ],
    ),
    plain(
        "date",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 BC'",
            "'5874897-12-31'",
            "'2000-01-01'",
        ],
    ),
    plain(
        "text",
        &[
            "''",
            "' '",
            "E'a\\nb\\tc\\\\'",
            "'\u{1f600} é e\u{301} \u{10ffff}'",
            "repeat('long ', 100000)",
            "'\"quoted\", ''twice'''",
            "null",
        ],
    ),
    plain(
        "bytea",
        &[
            "''",
            "'\\x00'",
            "'\\x00ff00'",
            "'\\xffff'",
            "decode(repeat('00ff5c0a', 50000), 'hex')",
            "null",
        ],
    ),
    plain(
        "jsonb",
        &[
            "'null'",
            "'{}'",
            "'{\"b\": 1.0, \"a\": [1e400, \"\\u00e9\", null]}'",
            "null",
        ],
    ),
    plain("json", &["'{\"b\" : 1.0,  \"b\":2}'", "' null '", "null"]),
    plain(
        "uuid",
        &[
            "'00000000-0000-0000-0000-000000000000'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        ],
    ),
    plain(
        "interval",
        &[
            "'1 mon -1 day 00:00:00.000001'",
            "'-178000000 years'",
            "'0'",
            "'24:00:00'",
            "'1 day'",
            "'30 days'",
            "'1 mon'",
        ],
    ),
    plain(
        "inet",
        &["'10.0.0.1'", "'10.0.0.1/8'", "'::ffff:1.2.3.4/120'", "'::'"],
    ),
    plain("cidr", &["'10.0.0.0/8'", "'2001:db8::/32'"]),
    plain("macaddr", &["'08:00:2b:01:02:03'"]),
    plain("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    plain("time", &["'00:00'", "'24:00:00'", "'23:59:59.999999'"]),
    plain(
        "timetz",
        &[
            "'00:00+15:59'",
            "'24:00:00-15:59'",
            "'12:00:00.000001+05:30'",
        ],
    ),
    plain(
        "real",
        &[
            "'NaN'",
            "'-0'",
            "'Infinity'",
            "'-Infinity'",
            "'1e-45'",
            "'3.4028235e38'",
            "0.1",
        ],
    ),
    plain(
        "double precision",
        &[
            "'NaN'",
            "'-0'",
            "'Infinity'",
            "'-Infinity'",
            "'5e-324'",
            "'1.7976931348623157e308'",
            "0.1",
        ],
    ),
    plain("boolean", &["true", "false", "null"]),
    plain("smallint", &["-32768", "32767"]),
    plain("integer", &["-2147483648", "2147483647"]),
    plain("bigint", &["-9223372036854775808", "9223372036854775807"]),
    plain("name", &["'a name'", "''"]),
    Sample {
        source: "integer",
        declared: "numeric(14,3)",
        query: "",
        values: &["-2147483648", "0", "10000", "null"],
    },
    Sample {
        source: "varchar(40)",
        declared: "varchar(5)",
        query: "",
        values: &["'añ€😀x'", "'ab   '", "'     '", "''", "null"],
    },
    Sample {
        source: "mood",
        declared: "text",
        query: "::text",
        values: &["'fine'", "'so so'", "null"],
    },
    Sample {
        source: "place",
        declared: "text",
        query: "::text",
        values: &["ROW(1, 'x, \"y\"')::place", "ROW(null, '')::place", "null"],
    },
    Sample {
        source: "char(5)",
        declared: "text",
        query: "::text",
        values: &["'a'", "''"],
    },
    plain(
        "int[]",
        &[
            "'{}'",
            "'{1,null,3}'",
            "'{{1,2},{3,null}}'",
            "'[0:2]={1,2,3}'",
            "'[-1:0][5:6]={{1,2},{3,4}}'",
            "null",
        ],
    ),
    plain(
        "text[]",
        &[
            "'{}'",
            "'{\"\",null,\"null\",\"a,b\"}'",
            "array_fill('x'::text, ARRAY[500])",
        ],
    ),
    plain("numeric[]", &["'{1.10,NaN,null,-Infinity,1e-50}'"]),
    plain("timestamptz[]", &["'{infinity,2024-01-01 00:00+00,null}'"]),
    plain("bytea[]", &["ARRAY['\\x00', '', null]::bytea[]"]),
    plain("jsonb[]", &["ARRAY['{}', null, '[1]']::jsonb[]"]),
    plain("boolean[]", &["'{t,f,null}'"]),
    plain("uuid[]", &["'{00000000-0000-0000-0000-000000000000}'"]),
    plain("double precision[]", &["'{NaN,-0,5e-324}'"]),
    plain("interval[]", &["'{1 mon,30 days,null}'"]),
    plain("inet[]", &["'{10.0.0.1/8}'"]),
    // Written wider than the template reads back: the element type is cast.
    Sample {
        source: "int[]",
        declared: "bigint[]",
        query: "",
        values: &["'{1,null}'", "'{}'"],
    },
];

fn template() -> String {
    let mut columns = String::new();
    let mut query = String::new();
    for (i, sample) in SAMPLES.iter().enumerate() {
        let declared = if sample.declared.starts_with('{') {
            sample.declared.to_owned()
        } else {
            format!("\"{}\"", sample.declared)
        };
        let _ = writeln!(columns, "c{i} = {declared}");
        let _ = write!(query, ", c{i}{} AS c{i}", sample.query);
    }
    format!(
        "/*\ndescription = \"Values\"\ntime_column = \"at\"\n[columns]\nid = \"bigint\"\nat = \"timestamptz\"\n{columns}*/\n\
         SELECT id, at{query} FROM v WHERE at >= {{from}} AND at < {{to}}\n"
    )
}

/// Each value once on each of these days: a staged year, the same year once it is there, two day tables in one window.
const DAYS: [&str; 4] = ["2023-05-05", "2023-05-06", "2024-03-17", "2024-03-18"];

fn fill(world: &World) {
    let source = &world.tenants[0];
    let columns: Vec<String> = SAMPLES
        .iter()
        .enumerate()
        .map(|(i, s)| format!("c{i} {}", s.source))
        .collect();
    source.run(&format!(
        "CREATE TYPE mood AS ENUM ('fine', 'so so'); CREATE TYPE place AS (a int, b text);
         CREATE TABLE v (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz, {})",
        columns.join(", ")
    ));
    let mut inserts = String::new();
    for day in DAYS {
        for (i, sample) in SAMPLES.iter().enumerate() {
            for value in sample.values {
                let _ = write!(
                    inserts,
                    "INSERT INTO v (at, c{i}) VALUES ('{day} 00:00+00', ({value})::{});",
                    sample.source
                );
            }
        }
    }
    source.run(&inserts);
    // PostgreSQL leaves the flag that says "holds a null" set after the null was overwritten.
    let ints = SAMPLES.iter().position(|s| s.declared == "int[]").unwrap();
    source.run(&format!(
        "UPDATE v SET c{ints}[2] = 5 WHERE c{ints} = '{{1,null,3}}'"
    ));
}

/// All rows as text that shows every bit: `id|column|…`.
fn as_text(
    database: &crate::support::server::Database,
    relation: &str,
) -> Vec<Vec<Option<String>>> {
    let columns: Vec<String> = SAMPLES
        .iter()
        .enumerate()
        .map(|(i, sample)| {
            let modifier =
                sample.declared.starts_with("numeric(") || sample.declared.contains("round");
            match sample.declared {
                // What the column's own scale makes of the source's.
                d if modifier => {
                    let ty = d
                        .trim_start_matches("{ type = \"")
                        .split('"')
                        .next()
                        .unwrap();
                    format!("c{i}::{ty}::text")
                }
                _ => format!("c{i}::text"),
            }
        })
        .collect();
    database.rows(&format!(
        "SET TimeZone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = 'hex'; \
         SELECT id, at, md5(c7), {} FROM {relation} ORDER BY id",
        columns.join(", ")
    ))
}

#[test]
fn every_value_arrives_bit_for_bit() {
    let world = World::new("values", &["acme"]);
    fill(&world);
    let template = template();
    world.set_up_template("v", &template, &["acme"]);
    let load = |from: &str, to: &str| {
        world
            .backfill(&["--from", from, "--to", to, "--template", "v"])
            .ok()
    };
    load(DAYS[0], DAYS[0]);
    load(DAYS[1], DAYS[1]);
    // History makes the next window two days long.
    world.warehouse.run("UPDATE _wh.unit SET bytes = 1");
    load("2024-03-16", "2024-03-19");

    let relations = world
        .warehouse
        .rows("SELECT DISTINCT relation FROM _wh.unit WHERE rows > 0");
    assert_eq!(relations.len(), 3);
    let (source, warehouse) = (
        as_text(&world.tenants[0], "v"),
        as_text(&world.warehouse, "acme.v"),
    );
    assert!(source.len() > 4 * 120);
    assert_eq!(source.len(), warehouse.len());
    for (there, here) in source.iter().zip(&warehouse) {
        assert_eq!(there, here);
    }
    world.digests_hold("v", &template);
}

#[test]
fn the_source_gives_the_digest_that_the_ledger_has() {
    // Without a value that the warehouse stores otherwise than the source: no scale to set, no flag to mend.
    const TEMPLATE: &str = "/*\ndescription = \"Values\"\ntime_column = \"at\"\n[columns]\nat = \"timestamptz\"\n\
        n = \"numeric\"\nf = \"double precision\"\nt = \"text\"\n*/\nSELECT * FROM v WHERE at >= {from} AND at < {to}\n";
    let world = World::new("both_ends", &["acme"]);
    world.tenants[0].run(
        "CREATE TABLE v AS SELECT timestamptz '2024-03-18 00:00+00' + i * interval '1 s' AS at, \
         (i / 7.0)::numeric AS n, sqrt(i)::float8 AS f, repeat('é', i) AS t FROM generate_series(1, 500) AS i",
    );
    world.set_up_template("v", TEMPLATE, &["acme"]);
    world.backfill(&["--last", "2"]).ok();
    let (rows, digest) = digests::of(&world.tenants[0].url(), "SELECT at, n, f, t FROM v");
    let ledger = world
        .warehouse
        .rows("SELECT rows, digest FROM _wh.unit WHERE day = '2024-03-18'");
    assert_eq!(ledger, [[Some(rows.to_string()), Some(digest.to_string())]]);
    world.digests_hold("v", TEMPLATE);
}

#[test]
fn a_row_at_either_end_of_a_day_stays_in_it_whatever_type_the_time_has() {
    for (ty, times) in [
        (
            "timestamptz",
            &[
                "2024-03-17 00:00:00+00",
                "2024-03-17 23:59:59.999999+00",
                "2024-03-18 00:00+00",
            ][..],
        ),
        (
            "timestamp",
            &[
                "2024-03-17 00:00:00",
                "2024-03-17 23:59:59.999999",
                "2024-03-18 00:00",
            ][..],
        ),
        ("date", &["2024-03-17", "2024-03-17", "2024-03-18"][..]),
    ] {
        let bounds = match ty {
            "timestamptz" => "at >= {from} AND at < {to}",
            _ => "at >= ({from} AT TIME ZONE 'UTC') AND at < ({to} AT TIME ZONE 'UTC')",
        };
        let template = format!(
            "/*\ndescription = \"Ends\"\ntime_column = \"at\"\n[columns]\nat = \"{ty}\"\n*/\nSELECT at FROM v WHERE {bounds}\n"
        );
        let world = World::new(&format!("ends_{ty}"), &["acme"]);
        let values: Vec<String> = times.iter().map(|t| format!("('{t}')")).collect();
        world.tenants[0].run(&format!(
            "CREATE TABLE v (at {ty}); INSERT INTO v VALUES {}",
            values.join(", ")
        ));
        // The same a year before, where it goes into a year's table.
        world.tenants[0]
            .run("SET TimeZone = 'UTC'; INSERT INTO v SELECT at - interval '365 days' FROM v");
        world.set_up_template("v", &template, &["acme"]);
        world
            .backfill(&["--from", "2023-03-10", "--to", "2023-03-25"])
            .ok();
        world
            .backfill(&["--from", "2024-03-16", "--to", "2024-03-19"])
            .ok();
        let per_day = world
            .warehouse
            .rows("SELECT day, rows FROM _wh.unit WHERE rows > 0 ORDER BY day");
        let text: Vec<String> = per_day
            .iter()
            .map(|r| r.iter().flatten().cloned().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            text,
            [
                "2023-03-18 2",
                "2023-03-19 1",
                "2024-03-17 2",
                "2024-03-18 1"
            ],
            "{ty}"
        );
        world.digests_hold("v", &template);
    }
}

/// Peak memory: 128 MiB and three times the largest row, whatever the day holds.
#[cfg(target_os = "linux")]
#[test]
fn one_text_of_100_megabytes_passes_within_the_memory_that_is_promised() {
    const TEMPLATE: &str = "/*\ndescription = \"Huge\"\ntime_column = \"at\"\n[columns]\nat = \"timestamptz\"\n\
        t = \"text\"\n*/\nSELECT at, t FROM v WHERE at >= {from} AND at < {to}\n";
    const MIB: u64 = 1 << 20;
    let world = World::new("huge", &["acme"]);
    world.tenants[0].run(
        "CREATE TABLE v (at timestamptz, t text); \
         INSERT INTO v VALUES ('2024-03-18 01:00+00', repeat('0123456789', 10485760)), ('2024-03-18 02:00+00', 'x')",
    );
    world.set_up_template("v", TEMPLATE, &["acme"]);
    let mut child = world
        .command(&[
            "backfill",
            "--today",
            crate::support::events::TODAY,
            "--last",
            "2",
        ])
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // The high-water mark, so that no peak falls between two looks.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let kilobytes = text
            .lines()
            .find_map(|l| l.strip_prefix("VmHWM:"))
            .and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    assert!(ended.success());
    assert!(
        peak > 100 * MIB && peak < (128 + 300) * MIB,
        "{} MiB",
        peak / MIB
    );
    let hash = "SELECT md5(t) FROM";
    assert_eq!(
        world
            .warehouse
            .one(&format!("{hash} acme.v WHERE t <> 'x'")),
        world.tenants[0].one(&format!("{hash} v WHERE t <> 'x'"))
    );
    world.digests_hold("v", TEMPLATE);
}
