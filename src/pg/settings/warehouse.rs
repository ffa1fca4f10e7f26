//! The settings of a session in the warehouse.

use super::{Pin, pin, pin_since};

/// Whatever the login has: building a year's indexes takes as long as it takes, a transaction may wait for a slow source, and
/// each statement sees what was committed before it.
pub const WAREHOUSE: &[Pin] = &[
    // The login itself, until it becomes the owner role.
    pin("session_authorization", "DEFAULT"),
    pin("role", "none"),
    // Statements name every schema.
    pin("search_path", "pg_catalog"),
    // Rows that a policy hides from the owner would be compared as missing.
    pin("row_security", "off"),
    // How values become texts, and literals values: views and CHECKs are compared as text.
    pin("TimeZone", "'UTC'"),
    pin("timezone_abbreviations", "'Default'"),
    pin("DateStyle", "'ISO, MDY'"),
    pin("IntervalStyle", "'postgres'"),
    pin("extra_float_digits", "1"),
    pin("bytea_output", "'hex'"),
    pin("standard_conforming_strings", "on"),
    pin("backslash_quote", "safe_encoding"),
    pin("array_nulls", "on"),
    pin("transform_null_equals", "off"),
    pin("quote_all_identifiers", "off"),
    pin("gin_fuzzy_search_limit", "0"),
    // Plans over a ledger or many tables look expensive: compiling them takes longer than running them.
    pin("jit", "off"),
    // Work is tried again after an error, in the same session.
    pin("exit_on_error", "off"),
    // Locks are waited for under a `lock_timeout` that a transaction sets itself; a load waits for its source for as long
    // as `stall_timeout` allows.
    pin("statement_timeout", "0"),
    pin("lock_timeout", "0"),
    pin("idle_in_transaction_session_timeout", "0"),
    pin("idle_session_timeout", "0"),
    pin_since(17, "transaction_timeout", "0"),
    // A transaction that waited for a lock sees what its holder committed, and none fails because of another.
    pin("default_transaction_isolation", "'read committed'"),
    pin("default_transaction_deferrable", "off"),
    // The server notices a host that vanished.
    pin("tcp_keepalives_idle", "30"),
    pin("tcp_keepalives_interval", "10"),
    pin("tcp_keepalives_count", "3"),
];

/// Lets a login write that is read-only by its own setting. A database or a server that an administrator made read-only is
/// left so: that is about us, too.
pub const LOGIN_READ_ONLY: &str = "SELECT pg_catalog.set_config(name, 'off', false) FROM pg_catalog.pg_settings \
    WHERE name = 'default_transaction_read_only' AND setting = 'on' AND source IN ('user', 'database user')";
