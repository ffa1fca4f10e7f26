//! Every configuration key, and the environment variable that overrides it.

/// The file that is read when neither `--config` nor `$DAYHAUL_CONFIG` is set.
pub const DEFAULT_FILE: &str = "dayhaul.toml";

/// All keys, by section.
pub const KEYS: [(&str, &[&str]); 5] = [
    (
        "warehouse",
        &[
            "url",
            "password",
            "owner_role",
            "reader_role",
            "replica_identity",
            "catalog_schema",
            "public_schema",
        ],
    ),
    (
        "load",
        &[
            "jobs",
            "per_server",
            "window_bytes",
            "range_bytes",
            "statement_timeout",
            "stall_timeout",
            "lock_timeout",
            "barrier_timeout",
            "max_failures",
            "max_failures_per_tenant",
            "sweep_days",
        ],
    ),
    ("landing", &["url", "enabled"]),
    ("secrets", &["allow"]),
    ("laptop", &["salt_file"]),
];

/// Boolean keys.
pub const SWITCHES: [(&str, &str); 1] = [("landing", "enabled")];

/// `DAYHAUL_…` variables that are not configuration keys.
pub const OTHER_VARIABLES: [&str; 3] = ["DAYHAUL_CONFIG", "DAYHAUL_PG_BIN", "DAYHAUL_LOG"];

/// The variable that overrides a key.
pub fn variable(section: &str, key: &str) -> String {
    format!("{}{}", prefix(section), key.to_ascii_uppercase())
}

pub fn all_variables(section: &str, keys: &[&str]) -> String {
    let names: Vec<_> = keys.iter().map(|k| variable(section, k)).collect();
    names.join(", ")
}

pub fn prefix(section: &str) -> String {
    format!("DAYHAUL_{}_", section.to_ascii_uppercase())
}
