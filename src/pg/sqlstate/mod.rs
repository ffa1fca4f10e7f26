//! What an SQLSTATE means for a unit ([`meaning`]), and the one place where the driver's errors become ours.
//!
//! Messages are the server's primary message, with the names of column, constraint and table when it leaves them out.
//! DETAIL and CONTEXT may quote rows and go to [`Error::detail`]. So do the primary messages of class 22 (data
//! exceptions), whose quoted values are masked: `invalid input syntax for type integer: "…"`.
//!
//! Source: PostgreSQL's protocol chapter, "Error and Notice Message Fields".

pub mod meaning;

use super::net::server_errors::ServerError;
use crate::error::{Error, Kind, Side, Trouble};

/// The kind of an error: whatever keeps a session from working is about the connection.
fn kind(code: &str, trouble: Trouble, otherwise: Kind) -> Kind {
    match trouble {
        Trouble::Unavailable | Trouble::SessionLost | Trouble::NoPlace | Trouble::NotLetIn => {
            Kind::Connect
        }
        _ if code.starts_with("08") => Kind::Connect,
        _ => otherwise,
    }
}

fn hint(said: &ServerError, trouble: Trouble) -> Option<&'static str> {
    Some(match said.code.as_str() {
        "28P01" => {
            "check the password reference (`env:`, `file:`, `cmd:`, `pgpass`), or `PGPASSWORD` and `~/.pgpass`"
        }
        "28000" => {
            "`pg_hba.conf` of the server has no line for this user and host, or it requires TLS (`sslmode`)"
        }
        "3D000" => "check the database's name in the connection URL",
        "42501" if said.routine.as_deref() == Some("check_enable_rls") => {
            "a policy would hide rows from the login: have an administrator run `ALTER ROLE … BYPASSRLS` for it, or read from a view whose owner sees all rows of the table"
        }
        "42501" => "grant the right to the role in the connection URL",
        "53300" => {
            "lower `jobs` (at a source, `per_server`), or raise the server's `max_connections`, or the CONNECTION LIMIT of the role or the database"
        }
        "55000" if said.routine.as_deref() == Some("CheckCmdReplicaIdentity") => {
            "the table is in a publication: set `replica_identity = \"full\"` in [warehouse], or take it out of the publication"
        }
        "55P03" => "another session holds a lock on the table",
        "57014" => {
            "the query may wait for a lock, take longer than `statement_timeout` in [load], or have been cancelled by a person"
        }
        "53100" => "free space on the server's disk, then run the same command again",
        "25006" => {
            "the server accepts no writes: connect to the primary (`target_session_attrs=read-write`), or check `default_transaction_read_only`"
        }
        "53400" => "raise `temp_file_limit` for the role, or its `work_mem`",
        "25P04" => "raise `transaction_timeout` for the role",
        "25P03" => {
            "the transaction at the source waited too long for the warehouse: raise `statement_timeout` in [load], which limits that, too"
        }
        "54000" => {
            "shorten the value at the source or in the query, or remove the index from the template"
        }
        "08P01" if trouble == Trouble::NoPlace => {
            "lower `jobs` or `per_server`, or raise the pooler's `default_pool_size` or `query_wait_timeout`"
        }
        "08P01" if trouble == Trouble::Unavailable => {
            "check that the server behind the pooler runs and accepts connections"
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
            "check the name in the template's query and the tenant's search path (`dayhaul tenant show`); a table outside of it is written `schema.table`"
        }
        _ => return None,
    })
}

/// What went wrong on an open connection.
pub fn error(e: &tokio_postgres::Error) -> Error {
    match e.as_db_error() {
        Some(db) => server_error(&db.into(), Kind::Sql),
        None => driver_error(e),
    }
}

/// The error of a session of this side. Only at a source `statement_timeout` of the configuration is what ends a statement.
pub fn on_side(error: Error, side: Side) -> Error {
    let cancelled = error.sqlstate() == Some("57014");
    let error = error.on(side);
    match side {
        Side::Warehouse if cancelled => error.with_hint(
            "a person or a pooler cancelled the statement: sessions in the warehouse have no `statement_timeout`",
        ),
        _ => error,
    }
}

/// What went wrong before the connection was open: whatever the server reports, it rejected the login.
pub fn login_error(e: &tokio_postgres::Error) -> Error {
    match e.as_db_error() {
        Some(db) => {
            let error = server_error(&db.into(), Kind::Connect);
            let trouble = match error.trouble() {
                trouble @ (Trouble::NoPlace | Trouble::DiskFull) => trouble,
                trouble if trouble.may_pass() => Trouble::Unavailable,
                _ => Trouble::NotLetIn,
            };
            error.with_trouble(trouble)
        }
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
    let trouble = meaning::trouble(said);
    let kind = kind(code, trouble, otherwise);
    let mut error = Error::new(kind, message).with_sqlstate(code, trouble);
    let original = (masked != said.message).then_some(said.message.as_str());
    let detail: Vec<&str> = [original, said.detail.as_deref(), context]
        .into_iter()
        .flatten()
        .collect();
    if !detail.is_empty() {
        error = error.with_detail(detail.join("\n"));
    }
    match hint(said, trouble).or(said.hint.as_deref()) {
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
        return Error::new(Kind::Connect, format!("connection lost: {why}"))
            .with_trouble(Trouble::SessionLost);
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

    fn said(code: &str, message: &str) -> ServerError {
        ServerError {
            code: code.to_owned(),
            message: message.to_owned(),
            routine: Some("f".to_owned()),
            ..ServerError::default()
        }
    }

    #[test]
    fn what_passes_by_itself_is_transient_and_nothing_else() {
        let transient = |code| server_error(&said(code, "…"), Kind::Sql).is_transient();
        for code in [
            "08006", "25006", "40001", "40P01", "53100", "53200", "53300", "55P03", "57014",
            "57P01", "57P03",
        ] {
            assert!(transient(code), "{code}");
        }
        for code in [
            "08P01", "22003", "23505", "23514", "28P01", "3D000", "42501", "42P01", "53400",
            "54000", "P0001", "XX000",
        ] {
            assert!(!transient(code), "{code}");
        }
    }

    #[test]
    fn a_session_that_cannot_work_is_about_the_connection() {
        for code in [
            "08006", "08P01", "28000", "3D000", "53300", "57P01", "57P03",
        ] {
            assert_eq!(
                server_error(&said(code, "…"), Kind::Sql).kind(),
                Kind::Connect,
                "{code}"
            );
        }
        for code in ["25006", "40001", "53100", "57014", "42P01"] {
            assert_eq!(
                server_error(&said(code, "…"), Kind::Sql).kind(),
                Kind::Sql,
                "{code}"
            );
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
