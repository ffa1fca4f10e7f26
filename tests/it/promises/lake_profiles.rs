//! Credentials in the files of AWS's own tools, which Dayhaul does not read.

use crate::support::events;
use crate::support::world::World;

const DAY: [&str; 6] = [
    "backfill",
    "--land",
    "--from",
    "2024-02-25",
    "--to",
    "2024-02-25",
];

#[test]
fn a_profile_is_named_before_anything_is_asked() {
    let mut world = World::new("lake_profile", &["acme"]);
    for source in &world.tenants {
        events::create(source);
    }
    world.set_up_events(&["acme"], events::TEMPLATE);
    world.configure("[landing]\nurl = \"s3://lake/days\"\n");
    world.variables = vec![("AWS_PROFILE".to_owned(), "prod".to_owned())];
    let failed = world.dayhaul(&DAY);
    let said = &failed.stderr;
    assert_ne!(failed.code, 0);
    assert!(
        said.contains("AWS_PROFILE is set, but Dayhaul does not read AWS profiles"),
        "{said}"
    );
    assert!(
        said.contains("aws configure export-credentials --profile prod --format env"),
        "{said}"
    );
}
