//! Which settings our transactions and sessions run under, whatever a login, a database or a server has.
//!
//! A setting is pinned when it can change which rows a query returns, what bytes they have, or whether a statement of ours
//! may end; in the warehouse, `jit` is pinned, too. The others only change plans, logs, or what a server does by itself;
//! `tests/it/promises/settings.rs` lists them, and fails on a setting of the server that nobody has judged.

pub mod search_path;
mod source;
mod warehouse;

pub use source::{BEGIN_SOURCE, SOURCE};
pub use warehouse::{LOGIN_READ_ONLY, WAREHOUSE};

/// A setting with the value that ours have.
#[derive(Debug, Clone, Copy)]
pub struct Pin {
    pub name: &'static str,
    /// As SQL.
    pub value: &'static str,
    /// The first major version that has it.
    pub since: u32,
}

/// A setting that every version has that we connect to.
const fn pin(name: &'static str, value: &'static str) -> Pin {
    pin_since(0, name, value)
}

const fn pin_since(since: u32, name: &'static str, value: &'static str) -> Pin {
    Pin { name, value, since }
}

/// Statements that set `pins` on a server of this version (as `server_version_num`): for the transaction, or the session.
pub fn statements(pins: &[Pin], server_version: u32, scope: Scope) -> String {
    let set = match scope {
        Scope::Transaction => "SET LOCAL",
        Scope::Session => "SET",
    };
    pins.iter()
        .filter(|pin| pin.since <= server_version / 10_000)
        .map(|pin| format!("{set} {} = {}; ", pin.name, pin.value))
        .collect()
}

/// How long a setting lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Behind a pooler nothing may outlive it.
    Transaction,
    Session,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_not_asked_for_settings_that_it_does_not_have() {
        let pins = [pin("a", "1"), pin_since(17, "b", "'x'")];
        assert_eq!(
            statements(&pins, 150_018, Scope::Transaction),
            "SET LOCAL a = 1; "
        );
        assert_eq!(
            statements(&pins, 170_002, Scope::Session),
            "SET a = 1; SET b = 'x'; "
        );
    }
}
