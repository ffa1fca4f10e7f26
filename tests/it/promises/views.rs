//! Readers read views: a wrong one is found and made anew, and what people set on it stays.

use crate::support::events;
use crate::support::readers::{Readers, Way};
use crate::support::world::{Output, World};

const FROM: &str = "2024-03-10";

/// Two tenants with ten days of four events each, loaded: a year table and day tables.
fn loaded(name: &str) -> World {
    let world = World::new(name, &["acme", "bolt"]);
    let template = events::TEMPLATE.replace("open_days = 16", "open_days = 3");
    let world = world.filled(&["acme", "bolt"], &template, FROM, (10, 4));
    world.backfill(&["--from", FROM, "--to", "2024-03-19"]).ok();
    assert_eq!(world.totals().0, "80");
    world
}

impl World {
    fn sync_pairs(&self, more: &[&str]) -> Output {
        self.dayhaul(&[&["sync", "--today", events::TODAY], more].concat())
    }

    /// `verify` and `status --check` name a view that is wrong; neither changes anything.
    #[track_caller]
    fn is_found(&self, view: &str, wrong: &str) {
        let named = |json: &serde_json::Value| {
            let views = json["views"].as_array().expect("views");
            assert!(
                views
                    .iter()
                    .any(|v| v["view"] == view && v["wrong"] == wrong),
                "{view} {wrong}: {json}"
            );
        };
        named(
            &self
                .dayhaul(&["verify", "--against", "ledger", "--json"])
                .exits(1)
                .json(),
        );
        let check = ["status", "--check", "--json", "--today", events::TODAY];
        named(&self.dayhaul(&check).exits(1).json());
        let init = self.dayhaul(&["init"]).ok();
        assert!(init.stderr.contains(view), "{}", init.stderr);
    }

    #[track_caller]
    fn shows_everything(&self) {
        assert_eq!(self.totals().0, "80");
        for tenant in ["acme", "bolt"] {
            let rows = self.read(&format!("SELECT count(*) FROM {tenant}.event"));
            assert_eq!(rows[0][0].as_deref(), Some("40"), "{tenant}");
        }
        self.dayhaul(&["verify"]).ok();
        self.dayhaul(&["status", "--check", "--today", events::TODAY])
            .ok();
    }
}

#[test]
fn a_view_that_is_gone_or_altered_is_found_and_made_anew() {
    let world = loaded("views_anew");
    let columns = "id, at, note, amount";
    let arm =
        "SELECT id, at, note::varchar AS note, amount::numeric AS amount FROM acme.event_2024";
    for (what, sql, view, wrong) in [
        (
            "gone",
            "DROP VIEW acme.event CASCADE".to_owned(),
            "acme.event",
            "missing",
        ),
        (
            "gone, too",
            "DROP VIEW acme.event CASCADE".to_owned(),
            "public.event",
            "missing",
        ),
        (
            "a tenant and rows left out",
            format!(
                "CREATE OR REPLACE VIEW public.event AS SELECT 'acme'::text AS schema_name, {columns} FROM acme.event WHERE id < 5"
            ),
            "public.event",
            "changed",
        ),
        (
            "a tenant left out",
            format!(
                "CREATE OR REPLACE VIEW public.event AS SELECT 'acme'::text AS schema_name, {columns} FROM acme.event"
            ),
            "public.event",
            "incomplete",
        ),
        (
            "tables left out",
            format!("CREATE OR REPLACE VIEW acme.event AS {arm}"),
            "acme.event",
            "incomplete",
        ),
        (
            "a WHERE more",
            format!("CREATE OR REPLACE VIEW acme.event AS {arm} WHERE note <> 'note 1'"),
            "acme.event",
            "changed",
        ),
        (
            "a column more",
            "CREATE OR REPLACE VIEW bolt.event AS SELECT id, at, note::varchar AS note, amount::numeric AS amount, 1 AS more FROM bolt.event_2024".to_owned(),
            "bolt.event",
            "changed",
        ),
        (
            "other columns",
            "DROP VIEW public.event; CREATE VIEW public.event AS SELECT id FROM bolt.event"
                .to_owned(),
            "public.event",
            "changed",
        ),
        (
            "renamed",
            "ALTER VIEW bolt.event RENAME TO event_of_old".to_owned(),
            "bolt.event",
            "missing",
        ),
        (
            "renamed columns",
            "ALTER VIEW public.event RENAME COLUMN note TO remark".to_owned(),
            "public.event",
            "changed",
        ),
    ] {
        world
            .warehouse
            .run(&format!("SET ROLE \"{}\"; {sql}", world.owner));
        world.is_found(view, wrong);
        match what.len() % 3 {
            0 => world.sync_pairs(&[]).ok(),
            1 => world.dayhaul(&["fold", "--today", events::TODAY]).ok(),
            _ => world
                .dayhaul(&["verify", "--repair", "--against", "source"])
                .ok(),
        };
        world.warehouse.run("DROP VIEW IF EXISTS bolt.event_of_old");
        println!("{what}");
        world.shows_everything();
    }
}

#[test]
fn a_view_is_made_anew_though_no_source_can_be_reached() {
    let world = loaded("views_sources");
    world.warehouse.run("DROP VIEW bolt.event CASCADE");
    for source in ["acme", "bolt"] {
        let nowhere = "postgres://nobody@127.0.0.1:1/nowhere";
        world.dayhaul(&["tenant", "edit", source, "--url", nowhere, "--no-test"]);
        world.warehouse.run(&format!(
            "UPDATE _wh.tenant SET url = '{nowhere}' WHERE name = '{source}'"
        ));
    }
    world.sync_pairs(&[]);
    assert_eq!(world.totals().0, "80");
}

#[test]
fn views_that_are_as_they_should_be_are_left_alone() {
    let world = loaded("views_left");
    let versions = "SELECT string_agg(w.xmin::text, ' ' ORDER BY w.oid) FROM pg_rewrite w \
        JOIN _wh.relation r ON ev_class = to_regclass(format('%I.%I', r.schema_name, r.name)) WHERE r.kind LIKE '%view'";
    let before = world.warehouse.one(versions);
    world.sync_pairs(&[]).ok();
    world.dayhaul(&["fold", "--today", events::TODAY]).ok();
    world
        .dayhaul(&[
            "rebuild",
            "--from",
            "2024-03-18",
            "--to",
            "2024-03-19",
            "--today",
            events::TODAY,
        ])
        .ok();
    assert_eq!(world.warehouse.one(versions), before);
}

#[test]
fn a_lost_tenant_does_not_stop_the_others() {
    let world = loaded("views_lost");
    let readers = Readers::of(
        &world,
        &["SELECT count(*)::text FROM bolt.event"],
        &[Way::Committed, Way::Repeatable],
    );
    world.warehouse.run("DROP SCHEMA acme CASCADE");
    let sync = world.sync_pairs(&[]).exits(1);
    for said in [
        "acme/event",
        "dayhaul rebuild --tenant acme",
        "dayhaul tenant disable acme",
    ] {
        assert!(sync.stderr.contains(said), "{said}: {}", sync.stderr);
    }
    assert!(!sync.stderr.contains("bolt/event:"), "{}", sync.stderr);
    assert_eq!(world.totals().0, "40");
    let seen = readers.stop();
    assert_eq!(seen.totals.into_iter().collect::<Vec<_>>(), ["40"]);
    world
        .dayhaul(&[
            "rebuild",
            "--tenant",
            "acme",
            "--from",
            FROM,
            "--to",
            "2024-03-19",
            "--today",
            events::TODAY,
        ])
        .ok();
    world.shows_everything();
    // Gone for good: the others are complete without it.
    world.warehouse.run("DROP SCHEMA acme CASCADE");
    world.dayhaul(&["tenant", "disable", "acme"]).ok();
    world.sync_pairs(&[]).ok();
    assert_eq!(world.totals().0, "40");
    world
        .dayhaul(&["status", "--check", "--today", events::TODAY])
        .ok();
}

#[test]
fn a_table_where_a_view_should_be_is_named_and_kept() {
    let world = loaded("views_table");
    world
        .warehouse
        .run("DROP VIEW public.event; CREATE TABLE public.event (mine int)");
    world.is_found("public.event", "not_a_view");
    let sync = world.sync_pairs(&[]).exits(1);
    assert!(
        sync.stderr.contains("`public.event` is a table"),
        "{}",
        sync.stderr
    );
    world.dayhaul(&["verify", "--repair"]).exits(1);
    assert_eq!(
        world.warehouse.one("SELECT count(mine) FROM public.event"),
        "0"
    );
    world.warehouse.run("DROP TABLE public.event; DROP VIEW acme.event; CREATE MATERIALIZED VIEW acme.event AS SELECT 1");
    let sync = world.sync_pairs(&[]).exits(1);
    assert!(
        sync.stderr.contains("`acme.event` is a materialized view"),
        "{}",
        sync.stderr
    );
    assert_eq!(world.totals().0, "40");
}

/// What people may set on views and tables: each as one text.
fn settings(world: &World) -> Vec<String> {
    let one = |sql: &str| world.warehouse.one(sql);
    let mut all = Vec::new();
    for view in ["acme.event", "public.event"] {
        all.push(one(&format!(
            "SELECT format('%s %s %s %s', relname, reloptions, relowner::regrole, obj_description(oid)) \
             FROM pg_class WHERE oid = '{view}'::regclass"
        )));
        all.push(one(&format!(
            "SELECT string_agg(format('%s %s %s %s', a.attname, x.grantee::regrole, x.privilege_type, x.is_grantable), ',' \
               ORDER BY a.attname, x.grantee::regrole::text) || coalesce(max(col_description(attrelid, attnum)), '') \
             FROM pg_attribute a, aclexplode(attacl) x WHERE attrelid = '{view}'::regclass"
        )));
        all.push(one(&format!(
            "SELECT string_agg(format('%s %s %s', x.grantee::regrole, x.privilege_type, x.is_grantable), ',' \
               ORDER BY x.grantee::regrole::text, x.privilege_type) \
             FROM pg_class c, aclexplode(relacl) x WHERE c.oid = '{view}'::regclass AND x.grantee <> c.relowner"
        )));
    }
    all
}

/// Sets on both views what an administrator may set. The view's owner becomes `owner`, whom the owner role may act as.
fn set_everything(world: &World, owner: &str, analyst: &str) {
    world.warehouse.run(&format!(
        "CREATE ROLE {owner}; CREATE ROLE {analyst}; GRANT {owner} TO \"{}\"; \
         GRANT USAGE ON SCHEMA acme TO {owner}; GRANT CREATE ON SCHEMA acme, public TO {owner}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA acme, bolt TO {owner}; GRANT USAGE ON SCHEMA bolt TO {owner}",
        world.owner
    ));
    for view in ["acme.event", "public.event"] {
        world.warehouse.run(&format!(
            "ALTER VIEW {view} SET (security_barrier = true); \
             COMMENT ON VIEW {view} IS 'it''s \\ ours'; COMMENT ON COLUMN {view}.amount IS 'in euros'; \
             GRANT SELECT (id, at) ON {view} TO {analyst} WITH GRANT OPTION; \
             GRANT SELECT, REFERENCES ON {view} TO {analyst}; ALTER VIEW {view} OWNER TO {owner}"
        ));
    }
}

fn rebuild_acme(world: &World, today: &str) {
    let year = ["--tenant", "acme", "--year", "2024", "--today", today];
    world.dayhaul(&[&["rebuild"], &year[..]].concat()).ok();
}

#[test]
fn what_people_set_on_views_survives_every_replacement() {
    let world = loaded("views_kept");
    let n = crate::support::server::unique();
    set_everything(&world, &format!("bi_{n}"), &format!("analyst_{n}"));
    let before = settings(&world);
    let days = |today: &str| world.dayhaul(&["sync", "--today", today]).ok();
    days("2024-03-22");
    assert_eq!(settings(&world), before, "after a fold");
    rebuild_acme(&world, "2024-03-22");
    assert_eq!(settings(&world), before, "after a rebuild");
    world.dayhaul(&["unfold", "--from", "2024-03-15"]).ok();
    assert_eq!(settings(&world), before, "after an unfold");
    // The public view gets another arm.
    world
        .dayhaul(&[
            "tenant",
            "add",
            "core",
            "--url",
            &world.tenants[0].url(),
            "--template",
            "event",
            "--no-test",
        ])
        .ok();
    world
        .backfill(&["--tenant", "core", "--from", FROM, "--to", "2024-03-12"])
        .ok();
    assert_eq!(settings(&world), before, "after another tenant");
    // A view whose columns were changed has to be dropped and made; what is set on the rest of it stays.
    world
        .warehouse
        .run("ALTER VIEW acme.event RENAME COLUMN note TO remark");
    days("2024-03-22");
    assert_eq!(settings(&world), before, "after columns were changed");
    world.dayhaul(&["verify"]).ok();
}

#[test]
fn a_view_of_another_owner_is_named_with_the_way_out() {
    let world = loaded("views_owner");
    let stranger = format!("stranger_{}", crate::support::server::unique());
    world.warehouse.run(&format!(
        "CREATE ROLE {stranger}; ALTER VIEW acme.event OWNER TO {stranger}"
    ));
    let sync = world.dayhaul(&["sync", "--today", "2024-03-22"]).exits(1);
    for said in [
        &format!("belongs to role `{stranger}`"),
        "ALTER VIEW \"acme\".\"event\" OWNER TO",
    ] {
        assert!(sync.stderr.contains(said), "{said}: {}", sync.stderr);
    }
    world.warehouse.run(&format!(
        "ALTER VIEW acme.event OWNER TO \"{}\"",
        world.owner
    ));
    world.dayhaul(&["sync", "--today", "2024-03-22"]).ok();
}

#[test]
fn an_option_that_cannot_be_kept_is_named() {
    let world = World::new("views_option", &["acme"]);
    let template = events::TEMPLATE.replace("open_days = 16", "open_days = 1");
    let world = world.filled(&["acme"], &template, "2023-03-10", (3, 2));
    world
        .backfill(&["--from", "2023-03-10", "--to", "2023-03-12"])
        .ok();
    world.warehouse.run(&format!(
        "SET ROLE \"{}\"; CREATE OR REPLACE VIEW acme.event WITH (check_option = 'local', security_barrier = true) AS \
         SELECT id, at, note::varchar AS note, amount::numeric AS amount FROM acme.event_2023",
        world.owner
    ));
    events::fill(&world.tenants[0], "2024-03-18", 1, 2);
    let run = world
        .backfill(&["--from", "2024-03-18", "--to", "2024-03-18"])
        .ok();
    assert!(
        run.stderr.contains("loses its `check_option`"),
        "{}",
        run.stderr
    );
    let options = "SELECT reloptions FROM pg_class WHERE oid = 'acme.event'::regclass";
    assert_eq!(world.warehouse.one(options), "{security_barrier=true}");
    assert_eq!(world.totals().0, "8");
}

#[test]
fn a_year_table_keeps_its_grants_and_options_when_another_takes_its_place() {
    let world = loaded("views_year");
    let analyst = format!("analyst_{}", crate::support::server::unique());
    world.warehouse.run(&format!(
        "CREATE ROLE {analyst}; GRANT SELECT (id) ON acme.event_2024 TO {analyst}; GRANT SELECT ON acme.event_2024 TO PUBLIC; \
         ALTER TABLE acme.event_2024 SET (autovacuum_enabled = false); COMMENT ON COLUMN acme.event_2024.id IS 'a key'; \
         COMMENT ON TABLE acme.event_2024 IS 'closed days'"
    ));
    let set = "SELECT concat_ws(' ', obj_description(c.oid), reloptions, col_description(c.oid, 1), \
          (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM aclexplode(attacl) x), \
          (SELECT string_agg(x.privilege_type || x.grantee, ',' ORDER BY x::text) FROM aclexplode(relacl) x)) \
        FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum = 1 WHERE c.oid = 'acme.event_2024'::regclass";
    let (before, oid) = (
        world.warehouse.one(set),
        "SELECT 'acme.event_2024'::regclass::oid",
    );
    let old = world.warehouse.one(oid);
    rebuild_acme(&world, events::TODAY);
    assert_ne!(world.warehouse.one(oid), old);
    assert_eq!(world.warehouse.one(set), before);
}
