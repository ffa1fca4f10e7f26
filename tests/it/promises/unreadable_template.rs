//! A template that another version of the program stored, and this one cannot read, is replaced by loading a corrected file.

use crate::support::events::{self, TODAY};
use crate::support::world::World;

#[test]
fn a_template_that_cannot_be_read_is_replaced_by_a_corrected_file() {
    let world = World::with_events("unreadable", &["acme"], "2024-03-01", 19, 2);
    let other = events::TEMPLATE.replace("open_days = 16", "open_days = 3");
    world.write("templates/other.sql", &other);
    world
        .dayhaul(&["template", "load", "templates/other.sql", "--all-tenants"])
        .ok();
    let days = ["--from", "2024-03-01", "--to", "2024-03-10"];
    world.backfill(&days).ok();

    for broken in [
        "replace(source, '{to}', '{until}')",
        "replace(source, 'unique', 'uniq')",
        "replace(source, 'indexes = [', 'indexes = [\"nothing\", ')",
    ] {
        world.warehouse.run(&format!(
            "UPDATE _wh.template SET source = {broken} WHERE name = 'event'"
        ));
        for command in [
            &["sync", "--today", TODAY][..],
            &["status"],
            &["verify", "--last", "1", "--today", TODAY],
            &["template", "list"],
        ] {
            let refused = world.dayhaul(command).exits(2);
            let said = &refused.stderr;
            assert!(
                said.contains("template `event` of the catalog")
                    && said.contains("dayhaul template load event.sql"),
                "{command:?}: {said}"
            );
        }
        // The other template goes on.
        world
            .dayhaul(&["sync", "--template", "other", "--today", TODAY])
            .ok();
        let columns = events::TEMPLATE.replace("numeric(12,2)", "numeric(14,2)");
        world.write("event.sql", &columns);
        let refused = world.dayhaul(&["template", "load", "event.sql"]).exits(2);
        assert!(
            refused.stderr.contains("columns differ"),
            "{}",
            refused.stderr
        );
        world.write("event.sql", events::TEMPLATE);
        world.dayhaul(&["template", "load", "event.sql"]).ok();
        world.dayhaul(&["sync", "--today", TODAY]).ok();
        world.dayhaul(&["verify", "--today", TODAY]).ok();
    }
}
