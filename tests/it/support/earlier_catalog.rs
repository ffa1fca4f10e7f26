//! A catalog as an earlier version of the program left it.

use super::server::Database;

/// What undoes each migration, the latest first.
const UNDO: [(i32, &str); 10] = [
    (11, "ALTER TABLE _wh.run DROP progress"),
    (
        10,
        "ALTER TABLE _wh.unit DROP object_rounded; ALTER TABLE _wh.staged DROP object_rounded; \
         ALTER TABLE _wh.restored DROP newer_days, DROP rounded_days",
    ),
    (
        9,
        "ALTER TABLE _wh.run DROP today; ALTER TABLE _wh.unit DROP checked_on",
    ),
    (
        8,
        "ALTER TABLE _wh.pair DROP windows, DROP windows_version, DROP windows_from, DROP windows_to, DROP windows_at",
    ),
    (
        7,
        "ALTER TABLE _wh.tenant DROP source_schema, DROP search_path, DROP search_path_from",
    ),
    (6, "ALTER TABLE _wh.pair DROP hides"),
    (5, "DROP TABLE _wh.restored"),
    (
        4,
        "ALTER TABLE _wh.staged DROP object, DROP object_digest, DROP object_bytes; \
         ALTER TABLE _wh.unit DROP object_digest, DROP object_bytes",
    ),
    (3, "ALTER TABLE _wh.staged DROP staged_at"),
    (
        2,
        "DROP TABLE _wh.attempt; ALTER TABLE _wh.run DROP selection, DROP failures, DROP cancel_requested_at, \
         DROP cancel_requested_by",
    ),
];

/// Brings the catalog back to the shape of a version.
pub fn bring_back(warehouse: &Database, version: i32) {
    for (_, sql) in UNDO.iter().filter(|(migration, _)| *migration > version) {
        warehouse.run(sql);
    }
    warehouse.run(&format!(
        "DELETE FROM _wh.migration WHERE version > {version}"
    ));
}
