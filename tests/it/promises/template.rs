//! Templates against a real tenant: written, reviewed, registered, looked at, dropped.

use crate::support::server::{self, Database};
use crate::support::world::{Output, World};

const DAY: &str = "2024-01-15";

/// A world with a catalog and one tenant, `acme`, that has orders.
fn world(name: &str) -> World {
    let world = World::new(name, &["acme"]);
    world.dayhaul(&["init"]).ok();
    world.warehouse.run(&format!(
        "INSERT INTO _wh.tenant (name, schema_name, url, vars) VALUES ('acme', 'acme', '{}', '{{\"client\": \"7\"}}')",
        tenant(&world).url()
    ));
    tenant(&world).run(
        "CREATE TYPE mood AS ENUM ('sad', 'happy');
         CREATE TABLE orders (
             id bigint PRIMARY KEY, code varchar(20), total numeric(10,2), paid real, mood mood, client int DEFAULT 7,
             ordered_at timestamptz NOT NULL, shipped_on date);
         INSERT INTO orders SELECT i, 'c' || i, i * 1.5, i, 'happy', 7,
             '2024-01-15 00:00:00+00'::timestamptz + i * interval '2 hours', '2024-01-15'
             FROM generate_series(0, 23) AS i;",
    );
    world
}

fn tenant(world: &World) -> &Database {
    &world.tenants[0]
}

const BOUNDED: &str = "ordered_at >= {from} AND ordered_at < {to}";

/// `template new orders` for a query.
fn new(world: &World, query: &str) -> Output {
    world.write("q.sql", query);
    world.dayhaul(&[
        "template", "new", "orders", "--query", "q.sql", "--tenant", "acme", "--force",
    ])
}

/// Front matter for a query that returns id and ordered_at.
fn two_columns(query: &str) -> String {
    format!(
        "/*\ntime_column = \"ordered_at\"\n[columns]\nid = \"bigint\"\nordered_at = \"timestamptz\"\n*/\n{query}"
    )
}

/// What a COPY OUT sends.
fn copied(url: &str, sql: &str) -> Vec<u8> {
    use futures::TryStreamExt;
    server::block_on(async {
        let client = server::connect(url).await.unwrap();
        let chunks: Vec<bytes::Bytes> = client
            .copy_out(sql)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        chunks.concat()
    })
}

#[test]
fn a_query_becomes_a_template_that_is_loaded_shown_and_dropped() {
    let world = world("tmpl_way");
    let query = format!(
        "SELECT id, code, total, paid, ordered_at FROM orders WHERE {BOUNDED};\n-- the end"
    );
    let out = new(&world, &query).ok();
    assert!(out.stdout.contains("wrote templates/orders.sql"), "{out:?}");
    let file = std::fs::read_to_string(world.folder().join("templates/orders.sql")).unwrap();
    for line in [
        "time_column = \"ordered_at\"",
        "id = \"bigint\"",
        "code = \"varchar(20)\"",
        "total = \"numeric(10,2)\"",
        "paid = \"real\"",
        "ordered_at = \"timestamptz\"",
    ] {
        assert!(file.contains(line), "{line}: {file}");
    }

    let lint = [
        "template",
        "lint",
        "templates/orders.sql",
        "--tenant",
        "acme",
    ];
    assert!(world.dayhaul(&lint).ok().stdout.contains("nothing found"));
    let load = ["template", "load", "templates/orders.sql", "--all-tenants"];
    let loaded = world.dayhaul(&load).ok();
    assert!(
        loaded.stdout.contains("new; enabled for acme"),
        "{loaded:?}"
    );
    assert!(world.dayhaul(&load).ok().stdout.contains("unchanged"));

    assert!(
        world
            .dayhaul(&["template", "list"])
            .ok()
            .stdout
            .contains("ordered_at")
    );
    let listed = world.dayhaul(&["template", "list", "--json"]).ok().json();
    assert_eq!(listed["schema"], "dayhaul.template.list/1");
    assert_eq!(listed["templates"][0]["tenants"][0], "acme");
    let shown = world.dayhaul(&["template", "show", "orders"]).ok();
    assert!(shown.stdout.contains("varchar(20)") && shown.stdout.contains("{from}"));

    for named in ["orders", "templates/orders.sql"] {
        let preview = [
            "template", "preview", named, "--tenant", "acme", "--day", DAY, "--limit", "3",
            "--json",
        ];
        let rows = world.dayhaul(&preview).ok().json();
        assert_eq!(rows["columns"].as_array().unwrap().len(), 5);
        assert_eq!(rows["rows"].as_array().unwrap().len(), 3);
        assert_eq!(rows["rows"][1][4], "2024-01-15 02:00:00+00");
    }

    let out = world.dayhaul(&["template", "drop", "orders"]).exits(2);
    assert!(
        out.stderr.contains("1 pair") && out.stderr.contains("--yes"),
        "{out:?}"
    );
    world.dayhaul(&["template", "drop", "orders", "--yes"]).ok();
    let gone = world.dayhaul(&["template", "show", "orders"]).exits(2);
    assert!(gone.stderr.contains("no template `orders`"));
}

#[test]
fn a_file_is_not_overwritten_unless_told_so() {
    let world = world("tmpl_force");
    world.write(
        "q.sql",
        &format!("SELECT id, ordered_at FROM orders WHERE {BOUNDED}"),
    );
    world.write("templates/orders.sql", "mine");
    let out = world
        .dayhaul(&[
            "template", "new", "orders", "--query", "q.sql", "--tenant", "acme",
        ])
        .exits(2);
    assert!(out.stderr.contains("--force"), "{out:?}");
    let file = std::fs::read_to_string(world.folder().join("templates/orders.sql")).unwrap();
    assert_eq!(file, "mine");
    world
        .dayhaul(&[
            "template",
            "new",
            "orders",
            "--query",
            "q.sql",
            "--tenant",
            "acme",
            "--out",
            "other/o.sql",
        ])
        .ok();
    assert!(world.folder().join("other/o.sql").exists());
}

#[test]
fn a_query_that_cannot_become_a_template_is_refused_with_what_to_write() {
    let world = world("tmpl_refuse");
    for (query, word) in [
        (
            "SELECT id, mood, ordered_at FROM orders",
            "`mood::text AS mood`",
        ),
        (
            "SELECT id, id, ordered_at FROM orders",
            "more than one column named `id`",
        ),
        ("SELECT FROM orders", "no columns"),
        (
            "SELECT id, ordered_at, shipped_on FROM orders",
            "`ordered_at`, `shipped_on`",
        ),
        (
            "SELECT id FROM orders",
            "no column that can be the time column",
        ),
        (
            "SELECT id AS schema_name, ordered_at FROM orders",
            "`schema_name`",
        ),
        ("SELECT 1; SELECT 2", "second statement"),
        ("SELECT idd FROM orders", "idd"),
        (
            "SELECT {var:region} AS r, ordered_at FROM orders",
            "--var region=",
        ),
    ] {
        let out = new(&world, query);
        assert!(out.code == 2 || out.code == 1, "{query}: {out:?}");
        assert!(out.stderr.contains(word), "{query}: {out:?}");
        assert!(
            !world.folder().join("templates/orders.sql").exists(),
            "{query}"
        );
    }
    world.write("q.sql", "SELECT id, ordered_at, shipped_on FROM orders");
    let new = [
        "template",
        "new",
        "orders",
        "--query",
        "q.sql",
        "--tenant",
        "acme",
        "--time-column",
        "shipped_on",
    ];
    let out = world.dayhaul(&new).ok();
    assert!(
        out.stdout.contains("same rows for every day"),
        "the review: {out:?}"
    );
}

#[test]
fn a_local_day_filter_is_pointed_at_in_the_new_file() {
    let world = world("tmpl_local");
    let out = new(
        &world,
        "SELECT id, ordered_at FROM orders\nWHERE ordered_at::date = current_date - 1",
    )
    .ok();
    for word in [
        "templates/orders.sql:12: warning: `ordered_at::date` is a local day",
        "`current_date`",
        "help: ",
    ] {
        assert!(out.stdout.contains(word), "{word}: {out:?}");
    }
}

#[test]
fn queries_that_end_in_a_semicolon_or_a_comment_are_described_and_copied() {
    let world = world("tmpl_ends");
    for end in [";", "\n-- all", "; -- all", " /* all */ ;\n"] {
        let query = format!("SELECT id, ordered_at FROM orders WHERE {BOUNDED}{end}");
        world.write("orders.sql", &two_columns(&query));
        world
            .dayhaul(&["template", "lint", "orders.sql", "--tenant", "acme"])
            .ok();
        let preview = [
            "template",
            "preview",
            "orders.sql",
            "--tenant",
            "acme",
            "--day",
            DAY,
        ];
        let out = world.dayhaul(&preview).ok();
        assert_eq!(out.stdout.lines().count(), 6, "{out:?}");
        let sql = world
            .dayhaul(&[&preview[..], &["--sql"]].concat())
            .ok()
            .stdout;
        let copied = copied(&tenant(&world).url(), &sql);
        // Signature, flags, extension; 12 rows of a field count, two fields of 8 bytes; trailer.
        assert_eq!(copied.len(), 19 + 12 * (2 + 2 * 12) + 2, "{end}");
    }
}

#[test]
fn a_review_at_a_tenant_compares_the_columns() {
    let world = world("tmpl_columns");
    let columns = [
        ("id", "integer"),
        ("code", "text"),
        ("gone", "text"),
        ("ordered_at", "timestamptz"),
    ];
    let columns: Vec<String> = columns
        .iter()
        .map(|(n, t)| format!("{n} = \"{t}\"\n"))
        .collect();
    world.write(
        "orders.sql",
        &format!(
            "/*\ntime_column = \"ordered_at\"\n[columns]\n{}*/\nSELECT id, code, total, ordered_at FROM orders WHERE {BOUNDED}",
            columns.concat()
        ),
    );
    world.dayhaul(&["template", "lint", "orders.sql"]).ok();
    let out = world
        .dayhaul(&["template", "lint", "orders.sql", "--tenant", "acme"])
        .exits(1);
    for word in [
        "orders.sql:4: error: column `id` is `bigint` at the source",
        "help: cast it in the query, where the change is visible: `(id)::integer AS id`",
        "orders.sql:6: error: the query does not return column `gone`",
        "orders.sql:9: error: column `total` (numeric(10,2)) is not in the template",
        "3 errors, 0 warnings",
    ] {
        assert!(out.stdout.contains(word), "{word}: {}", out.stdout);
    }
    let json = world.dayhaul(&[
        "template",
        "lint",
        "orders.sql",
        "--tenant",
        "acme",
        "--json",
    ]);
    assert_eq!(json.json()["findings"][0]["line"], 4);

    world.write(
        "orders.sql",
        &two_columns(&format!("SELECT id,\n  odd FROM orders WHERE {BOUNDED}")),
    );
    let out = world
        .dayhaul(&["template", "lint", "orders.sql", "--tenant", "acme"])
        .exits(1);
    assert!(
        out.stdout.contains("orders.sql:8: error: ") && out.stdout.contains("odd"),
        "{out:?}"
    );
}

#[test]
fn a_template_with_errors_is_not_loaded_nor_is_any_other_of_the_command() {
    let world = world("tmpl_errors");
    world.write(
        "good.sql",
        &two_columns(&format!(
            "SELECT id, ordered_at FROM orders WHERE {BOUNDED}"
        )),
    );
    world.write(
        "bad.sql",
        &two_columns("SELECT id, ordered_at FROM orders WHERE ordered_at > '{from}'"),
    );
    let out = world
        .dayhaul(&["template", "load", "good.sql", "bad.sql"])
        .exits(2);
    assert!(out.stderr.contains("bad.sql:7: error: "), "{out:?}");
    assert_eq!(
        world.warehouse.one("SELECT count(*) FROM _wh.template"),
        "0"
    );
}

#[test]
fn every_version_is_kept_and_a_changed_query_is_said() {
    let world = world("tmpl_versions");
    let load = |query: &str| {
        world.write("orders.sql", &two_columns(query));
        world
            .dayhaul(&["template", "load", "orders.sql"])
            .ok()
            .stdout
    };
    let query = format!("SELECT id, ordered_at FROM orders WHERE {BOUNDED}");
    assert!(load(&query).contains("new"));
    assert!(load(&format!("{query} -- why")).contains("same version"));
    assert!(load(&format!("{query} AND id > 0")).contains("changed, was version"));
    assert!(load(&query).contains("changed, was version"));
    let shown = world
        .dayhaul(&["template", "show", "orders", "--versions", "--json"])
        .ok()
        .json();
    assert_eq!(shown["versions"].as_array().unwrap().len(), 2);
}

#[test]
fn columns_do_not_change_under_tables_that_exist() {
    let world = world("tmpl_shape");
    let query = format!("SELECT id, ordered_at FROM orders WHERE {BOUNDED}");
    let source = two_columns(&query);
    world.write("orders.sql", &source);
    world.dayhaul(&["template", "load", "orders.sql"]).ok();
    let relation = |kind: &str| {
        format!(
            "INSERT INTO _wh.relation (schema_name, name, kind, template) VALUES ('acme', 'orders_2024', '{kind}', 'orders')"
        )
    };
    world.warehouse.run(&relation("year"));
    world.write(
        "orders.sql",
        &source.replace("id = \"bigint\"", "id = \"numeric\""),
    );
    let out = world.dayhaul(&["template", "load", "orders.sql"]).exits(2);
    assert!(
        out.stderr.contains("columns differ") && out.stderr.contains("template drop orders"),
        "{out:?}"
    );
    world.warehouse.run("DELETE FROM _wh.relation");
    world.dayhaul(&["template", "load", "orders.sql"]).ok();
}

#[test]
fn a_drop_takes_what_is_ours_and_leaves_what_is_not() {
    let world = world("tmpl_drop");
    world.write(
        "orders.sql",
        &two_columns(&format!(
            "SELECT id, ordered_at FROM orders WHERE {BOUNDED}"
        )),
    );
    world
        .dayhaul(&["template", "load", "orders.sql", "--all-tenants"])
        .ok();
    let owner = &world.owner;
    world.warehouse.run(&format!(
        "CREATE SCHEMA acme AUTHORIZATION \"{owner}\"; SET ROLE \"{owner}\";
         CREATE TABLE acme.orders_2024 (id int); CREATE TABLE acme.orders_2024_old (id int);
         CREATE VIEW acme.orders AS SELECT * FROM acme.orders_2024;
         CREATE VIEW public.orders AS SELECT 'acme' AS schema_name, * FROM acme.orders;
         INSERT INTO _wh.relation (schema_name, name, kind, template, tenant) VALUES
             ('public', 'orders', 'public view', 'orders', NULL), ('acme', 'orders', 'tenant view', 'orders', 'acme'),
             ('acme', 'orders_2024', 'year', 'orders', 'acme');
         INSERT INTO _wh.unit (tenant, template, day, state, version, run)
             VALUES ('acme', 'orders', '2024-01-15', 'loaded', 'v', 1);
         RESET ROLE; CREATE VIEW public.theirs AS SELECT * FROM public.orders;"
    ));
    let out = world
        .dayhaul(&["template", "drop", "orders", "--yes"])
        .exits(1);
    assert!(
        out.stderr.contains("`public.orders`") && out.stderr.contains("not Dayhaul's"),
        "{out:?}"
    );
    assert_eq!(world.warehouse.one("SELECT count(*) FROM _wh.unit"), "1");

    world.warehouse.run("DROP VIEW public.theirs");
    let out = world.dayhaul(&["template", "drop", "orders", "--yes"]).ok();
    assert!(
        out.stdout
            .contains("1 pair, 2 views, 1 table, 1 ledger row, 1 version"),
        "{out:?}"
    );
    let left = "SELECT to_regclass('acme.orders') IS NULL AND to_regclass('acme.orders_2024') IS NULL \
                AND to_regclass('acme.orders_2024_old') IS NOT NULL";
    assert_eq!(world.warehouse.one(left), "t");
    let rows = "SELECT (SELECT count(*) FROM _wh.relation) + (SELECT count(*) FROM _wh.pair) \
                + (SELECT count(*) FROM _wh.unit) + (SELECT count(*) FROM _wh.template_version)";
    assert_eq!(world.warehouse.one(rows), "0");
}

#[test]
fn the_session_at_the_source_is_utc_and_read_only() {
    let world = world("tmpl_utc");
    let query = "SELECT id, ordered_at FROM orders WHERE ordered_at::date = {day}";
    world.write("orders.sql", &two_columns(query));
    let preview = |day: &str| {
        let args = [
            "template",
            "preview",
            "orders.sql",
            "--tenant",
            "acme",
            "--day",
            day,
            "--limit",
            "99",
            "--json",
        ];
        world.dayhaul(&args).ok().json()["rows"]
            .as_array()
            .unwrap()
            .len()
    };
    // The server's own zone is New York's: its 15 January would hold five hours of the 16th.
    assert_eq!(
        (preview("2024-01-14"), preview(DAY), preview("2024-01-16")),
        (0, 12, 12)
    );
    tenant(&world).run("CREATE FUNCTION w() RETURNS int LANGUAGE sql AS 'INSERT INTO orders (id, ordered_at) VALUES (99, now()); SELECT 1'");
    let writes = format!("SELECT id, ordered_at FROM orders WHERE {BOUNDED} AND w() = 1");
    world.write("orders.sql", &two_columns(&writes));
    let args = [
        "template",
        "preview",
        "orders.sql",
        "--tenant",
        "acme",
        "--day",
        DAY,
    ];
    let out = world.dayhaul(&args).exits(1);
    assert!(out.stderr.contains("read-only"), "{out:?}");
}

#[test]
fn a_drop_waits_for_readers_without_making_others_wait() {
    let world = world("tmpl_locks");
    world.write(
        "orders.sql",
        &two_columns(&format!(
            "SELECT id, ordered_at FROM orders WHERE {BOUNDED}"
        )),
    );
    world.dayhaul(&["template", "load", "orders.sql"]).ok();
    world.warehouse.run(&format!(
        "SET ROLE \"{}\"; CREATE VIEW public.orders AS SELECT 1 AS id;
         INSERT INTO _wh.relation (schema_name, name, kind, template)
             VALUES ('public', 'orders', 'public view', 'orders')",
        world.owner
    ));
    let reader = server::block_on(async {
        let reader = server::connect(&world.warehouse.url()).await.unwrap();
        let read = "BEGIN; SELECT * FROM public.orders";
        reader.batch_execute(read).await.unwrap();
        reader
    });
    let mut drop = world
        .command(&["template", "drop", "orders", "--yes"])
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(drop.try_wait().unwrap().is_none(), "it did not wait");
    // Others queue behind the drop for one lock timeout (100 ms) at the most.
    world
        .warehouse
        .rows("SET statement_timeout = '400ms'; SELECT * FROM public.orders");
    server::block_on(reader.batch_execute("COMMIT")).unwrap();
    assert!(drop.wait().unwrap().success());
    assert_eq!(
        world
            .warehouse
            .one("SELECT to_regclass('public.orders') IS NULL"),
        "t"
    );
}
