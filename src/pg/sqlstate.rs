//! The one table of what an SQLSTATE means for a unit, and the one place where the driver's errors become ours.
//!
//! Messages are the server's primary message, with the names of column, constraint and table when it leaves them out.
//! DETAIL and CONTEXT may quote rows and go to [`Error::detail`]. So do the primary messages of class 22 (data
//! exceptions), whose quoted values are masked: `invalid input syntax for type integer: "…"`.
//!
//! Source: PostgreSQL's appendix A, "PostgreSQL Error Codes"; its protocol chapter, "Error and Notice Message Fields".

use super::net::server_errors::ServerError;
use crate::error::{Error, Kind};

/// Whether the same work may succeed when it is tried again as it is.
///
/// A statement timeout (57014) is retried: what it most often means here is a source table that someone locked, or a
/// server in a busy hour; attempts are bounded, and a query that is always too slow fails with the timeout's own
/// message. The same code after a person's or `dayhaul cancel`'s request is final.
fn is_transient(code: &str, message: &str, schema: Option<&str>) -> bool {
    match code {
        // A recovery conflict may come as any of these; the standby has moved on by the next attempt.
        _ if message.contains("conflict with recovery") => true,
        // Serialization failure, deadlock, lock_timeout.
        "40001" | "40P01" | "55P03" => true,
        // Shutting down, crashed, starting up.
        "57P01" | "57P02" | "57P03" => true,
        "57014" => message.contains("statement timeout"),
        // Two sessions changed the same catalog row at once.
        "XX000" => {
            message.contains("tuple concurrently updated")
                || message.contains("tuple concurrently deleted")
        }
        "23505" => schema == Some("pg_catalog"),
        // A pooler that rejects a login also reports 08P01: only the other connection exceptions pass by themselves.
        "08P01" => false,
        // Out of connections, memory, disk.
        _ => code.starts_with("08") || code.starts_with("53"),
    }
}

/// The kind of an error.
fn kind(code: &str, otherwise: Kind) -> Kind {
    match code {
        "3D000" | "57P01" | "57P02" | "57P03" | "53300" => Kind::Connect,
        _ if code.starts_with("08") || code.starts_with("28") => Kind::Connect,
        _ => otherwise,
    }
}

fn hint(code: &str, message: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" => {
            "check the password reference (`env:`, `file:`, `cmd:`, `pgpass`), or `PGPASSWORD` and `~/.pgpass`"
        }
        "28000" => {
            "`pg_hba.conf` of the server has no line for this user and host, or it requires TLS (`sslmode`)"
        }
        "3D000" => "check the database's name in the connection URL",
        "42501" => "grant the right to the role in the connection URL",
        "53300" => "lower `jobs` or `per_server`, or raise the server's `max_connections`",
        "55000" if message.contains("replica identity") => {
            "the table is in a publication: set `replica_identity = \"full\"` in [warehouse], or take it out of the publication"
        }
        "55P03" => "another session holds a lock on the table",
        "57014" if message.contains("statement timeout") => {
            "the query may wait for a lock, or take longer than `statement_timeout` in [load]"
        }
        "22003" => {
            "declare a higher precision or a wider type in the template, or fix the value at the source"
        }
        "22012" => "avoid dividing by zero in the template's query: `… / nullif(divisor, 0)`",
        "22021" | "22P05" => {
            "a text is not valid in its encoding: fix it at the source, or convert it in the query"
        }
        "23505" => {
            "several rows have the same values in the template's `unique` columns: fix the source or the query, or declare other columns"
        }
        "23514" => {
            "a row violates a CHECK of the table: fix the rows, or drop a CHECK that was added by hand"
        }
        "42601" | "42703" | "42883" => {
            "fix the template's query, then run `dayhaul template load FILE`"
        }
        "42P01" => {
            "check the name in the template's query; a table outside schema `public` is written `schema.table`"
        }
        _ => return None,
    })
}

/// Whether a standby cancelled the query because it had to replay what the query was reading: worth a smaller window.
pub fn is_recovery_conflict(error: &Error) -> bool {
    error.message().contains("conflict with recovery")
}

/// What went wrong on an open connection.
pub fn error(e: &tokio_postgres::Error) -> Error {
    match e.as_db_error() {
        Some(db) => server_error(&db.into(), Kind::Sql),
        None => driver_error(e),
    }
}

/// What went wrong before the connection was open: whatever the server reports, it rejected the login.
pub fn login_error(e: &tokio_postgres::Error) -> Error {
    match e.as_db_error() {
        Some(db) => server_error(&db.into(), Kind::Connect),
        None => driver_error(e),
    }
}

pub fn server_error(said: &ServerError, otherwise: Kind) -> Error {
    let code = said.code.as_str();
    let masked = mask_values(code, &said.message);
    let context = said.context.as_deref();
    let names = [
        (
            "column",
            said.column.as_deref().or(context.and_then(copy_column)),
        ),
        ("constraint", said.constraint.as_deref()),
        ("table", said.table.as_deref()),
    ];
    let missing: Vec<String> = names
        .iter()
        .filter_map(|(what, name)| name.map(|n| (what, n)))
        .filter(|(_, name)| !masked.contains(*name))
        .map(|(what, name)| format!("{what} `{name}`"))
        .collect();
    let message = if missing.is_empty() {
        masked.clone()
    } else {
        format!("{masked} ({})", missing.join(", "))
    };
    let transient = is_transient(code, &said.message, said.schema.as_deref());
    let mut error = Error::new(kind(code, otherwise), message).with_sqlstate(code, transient);
    let original = (masked != said.message).then_some(said.message.as_str());
    let detail: Vec<&str> = [original, said.detail.as_deref(), context]
        .into_iter()
        .flatten()
        .collect();
    if !detail.is_empty() {
        error = error.with_detail(detail.join("\n"));
    }
    match hint(code, &said.message).or(said.hint.as_deref()) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// An error that is not the server's: the connection is lost, or what was received makes no sense.
fn driver_error(e: &tokio_postgres::Error) -> Error {
    let cause = std::error::Error::source(e);
    let io = cause.and_then(|c| c.downcast_ref::<std::io::Error>());
    let text = e.to_string();
    if e.is_closed() || text == "error communicating with the server" {
        let why = io.map_or_else(|| "the server closed it".to_owned(), ToString::to_string);
        return Error::new(Kind::Connect, format!("connection lost: {why}")).with_transient(true);
    }
    let message = match cause {
        Some(cause) => format!("{text}: {cause}"),
        None => text.clone(),
    };
    let kind = match text.as_str() {
        "unexpected message from server" | "error parsing response from server" => Kind::Protocol,
        "authentication error" | "invalid configuration" => Kind::Connect,
        // A parameter or a column of another Rust type than the statement's: written wrong here.
        _ => Kind::Bug,
    };
    Error::new(kind, message)
}

/// `COPY t, line 3, column name: "…"` → `name`.
fn copy_column(context: &str) -> Option<&str> {
    let line = context.lines().find(|l| l.starts_with("COPY "))?;
    let (_, column) = line.split_once(", column ")?;
    let end = column.find(": ").unwrap_or(column.len());
    Some(column[..end].trim_end_matches(':'))
}

/// Replaces quoted values in the messages of data exceptions; what follows `column`, `type` and such is a name and stays.
fn mask_values(code: &str, message: &str) -> String {
    const NAMES: [&str; 8] = [
        "column",
        "relation",
        "table",
        "type",
        "constraint",
        "function",
        "encoding",
        "domain",
    ];
    if !code.starts_with("22") {
        return message.to_owned();
    }
    let mut out = String::new();
    let mut rest = message;
    while let Some((before, quoted)) = rest.split_once('"') {
        out.push_str(before);
        let is_name = before
            .split_whitespace()
            .last()
            .is_some_and(|w| NAMES.contains(&w));
        match quoted.split_once('"') {
            Some((name, after)) if is_name => {
                out.push_str(&format!("\"{name}\""));
                rest = after;
            }
            // A value may hold quotes itself: everything up to the last one is the value's.
            _ => {
                out.push_str("\"…\"");
                rest = quoted.rsplit_once('"').map_or("", |(_, after)| after);
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_retried_and_nothing_else() {
        for (code, message, schema) in [
            ("08006", "connection failure", None),
            (
                "57P01",
                "terminating connection due to administrator command",
                None,
            ),
            ("57P03", "the database system is starting up", None),
            ("53300", "sorry, too many clients already", None),
            ("40001", "could not serialize access", None),
            ("40P01", "deadlock detected", None),
            ("55P03", "canceling statement due to lock timeout", None),
            (
                "57014",
                "canceling statement due to statement timeout",
                None,
            ),
            (
                "57014",
                "canceling statement due to conflict with recovery",
                None,
            ),
            ("XX000", "tuple concurrently updated", None),
            ("23505", "duplicate key", Some("pg_catalog")),
        ] {
            assert!(is_transient(code, message, schema), "{code} {message}");
        }
        for (code, message, schema) in [
            ("57014", "canceling statement due to user request", None),
            ("08P01", "no such database", None),
            ("28P01", "password authentication failed", None),
            ("3D000", "database does not exist", None),
            ("42P01", "relation does not exist", None),
            ("42501", "permission denied", None),
            ("23514", "violates check constraint", None),
            ("23505", "duplicate key", Some("acme")),
            ("XX000", "cache lookup failed", None),
        ] {
            assert!(!is_transient(code, message, schema), "{code} {message}");
        }
    }

    #[test]
    fn a_copys_context_names_the_column() {
        assert_eq!(
            copy_column("COPY t, line 3, column a b: \"x\""),
            Some("a b")
        );
        assert_eq!(copy_column("COPY t, line 3, column name"), Some("name"));
        assert_eq!(copy_column("COPY t, line 3"), None);
        assert_eq!(copy_column("SQL function \"f\""), None);
    }

    #[test]
    fn values_in_the_messages_of_data_exceptions_are_masked() {
        for (message, masked) in [
            (
                "invalid input syntax for type integer: \"a\"b\"",
                "invalid input syntax for type integer: \"…\"",
            ),
            (
                "value \"99\" is out of range for type integer",
                "value \"…\" is out of range for type integer",
            ),
            (
                "invalid byte sequence for encoding \"UTF8\": 0xff",
                "invalid byte sequence for encoding \"UTF8\": 0xff",
            ),
            ("division by zero", "division by zero"),
        ] {
            assert_eq!(mask_values("22P02", message), masked);
        }
        assert_eq!(mask_values("42P01", "relation \"t\""), "relation \"t\"");
    }
}
