//! Names of templates that would be those of another template's tables.

use crate::support::events;
use crate::support::world::World;

#[test]
fn a_template_is_not_named_like_another_ones_table() {
    let world = World::new("template_names", &[]);
    world.dayhaul(&["init"]).ok();
    let load = |name: &str| {
        let file = format!("{name}.sql");
        world.write(&file, events::TEMPLATE);
        world.dayhaul(&["template", "load", &file])
    };
    for name in ["event_2024", "event_2024_03_15"] {
        let refused = load(name);
        assert_ne!(refused.code, 0, "{name}");
        assert!(
            refused.stderr.contains("ends like a year or day table"),
            "{}",
            refused.stderr
        );
    }
    for name in [
        "event_2024_staging",
        "event_2024_retired",
        "event_2024_retire1",
    ] {
        let refused = load(name);
        assert_ne!(refused.code, 0, "{name}");
        assert!(
            refused.stderr.contains("a table of a template `event`")
                && refused.stderr.contains("nothing was loaded"),
            "{}",
            refused.stderr
        );
    }
    load("event_2024_old").ok();
    // One that is in the catalog can still be loaded.
    world
        .warehouse
        .run("UPDATE _wh.template SET name = 'event_2024_staging' WHERE name = 'event_2024_old'");
    load("event_2024_staging").ok();
}
