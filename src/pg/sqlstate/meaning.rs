//! What an error of a server means, as a table: by its SQLSTATE and, where one code has several meanings, by the routine
//! of the server that reported it. Texts are translated and decide nothing; a pooler's are not, and it names no routine.
//!
//! `docs/errors.md` shows the same table; a test compares both.
//!
//! Source: PostgreSQL's appendix A, "PostgreSQL Error Codes"; `simple_heap_update` and `simple_heap_delete` in
//! `heapam.c`; PgBouncer's `objects.c`, `janitor.c` and `client.c`.

use crate::error::Trouble;
use crate::pg::net::server_errors::ServerError;

/// A line of the table.
#[derive(Debug)]
pub struct Meaning {
    /// SQLSTATEs, or how they begin.
    pub codes: &'static [&'static str],
    pub only: Only,
    pub trouble: Trouble,
    /// The error, in words.
    pub about: &'static str,
}

/// Which errors with these codes are meant.
#[derive(Debug)]
pub enum Only {
    All,
    /// Reported by one of these functions of the server.
    Routines(&'static [&'static str]),
    /// About a table of the system catalog.
    SystemCatalog,
    /// Said by a pooler, with one of these texts in it.
    Pooler(&'static [&'static str]),
}

/// The first line that fits counts.
pub const MEANINGS: &[Meaning] = &[
    Meaning {
        codes: &["08P01"],
        only: Only::Pooler(&[
            "query_wait_timeout",
            "no more connections allowed",
            "client connections exceeded",
        ]),
        trouble: Trouble::NoPlace,
        about: "a pooler has no connection left",
    },
    Meaning {
        codes: &["08P01"],
        only: Only::Pooler(&[
            "server_login_retry",
            "server login has been failing",
            "server conn crashed",
            "cannot connect to server",
            "client_login_timeout",
            "database configuration changed",
            "shutting down",
        ]),
        trouble: Trouble::Unavailable,
        about: "a pooler has no server just now",
    },
    Meaning {
        codes: &["08P01"],
        only: Only::Pooler(&[
            "query timeout",
            "query_timeout",
            "transaction timeout",
            "transaction_timeout",
        ]),
        trouble: Trouble::Limit,
        about: "a time limit of a pooler",
    },
    Meaning {
        codes: &["08P01", "28", "3D"],
        only: Only::All,
        trouble: Trouble::NotLetIn,
        about: "login or database refused, by the server or a pooler",
    },
    Meaning {
        codes: &["53300"],
        only: Only::All,
        trouble: Trouble::NoPlace,
        about: "too many connections",
    },
    Meaning {
        codes: &["08", "57P03"],
        only: Only::All,
        trouble: Trouble::Unavailable,
        about: "connection failures; the server starts or stops",
    },
    Meaning {
        codes: &["57P01", "57P02", "57P05"],
        only: Only::All,
        trouble: Trouble::SessionLost,
        about: "the session was ended: by an administrator, a crash, a time limit for idle sessions",
    },
    Meaning {
        codes: &["25006"],
        only: Only::All,
        trouble: Trouble::ReadOnly,
        about: "the server or the transaction is read-only",
    },
    Meaning {
        codes: &["40001", "40P01"],
        only: Only::All,
        trouble: Trouble::Conflict,
        about: "serialization failure, deadlock, conflict with a standby's recovery",
    },
    Meaning {
        codes: &["55P03"],
        only: Only::All,
        trouble: Trouble::Passing,
        about: "`lock_timeout`",
    },
    Meaning {
        codes: &["23505"],
        only: Only::SystemCatalog,
        trouble: Trouble::Passing,
        about: "two sessions created the same object at once",
    },
    Meaning {
        codes: &["XX000"],
        only: Only::Routines(&["simple_heap_update", "simple_heap_delete"]),
        trouble: Trouble::Passing,
        about: "two sessions changed the same object at once",
    },
    Meaning {
        codes: &["57014"],
        only: Only::All,
        trouble: Trouble::Cancelled,
        about: "`statement_timeout`, or a request to cancel: the server reports both alike",
    },
    Meaning {
        codes: &["53400", "25P03", "25P04"],
        only: Only::All,
        trouble: Trouble::Limit,
        about: "`temp_file_limit`, `idle_in_transaction_session_timeout`, `transaction_timeout`",
    },
    Meaning {
        codes: &["53100"],
        only: Only::All,
        trouble: Trouble::DiskFull,
        about: "disk full",
    },
    Meaning {
        codes: &["53"],
        only: Only::All,
        trouble: Trouble::NoResources,
        about: "out of memory or another resource",
    },
    Meaning {
        codes: &["22", "23", "38", "39", "44", "54000", "P0"],
        only: Only::All,
        trouble: Trouble::Row,
        about: "a value, a constraint, a value too long for an index, an error raised by a function",
    },
    Meaning {
        codes: &["0A", "25", "26", "3F", "42", "54"],
        only: Only::All,
        trouble: Trouble::Query,
        about: "syntax, names, rights, unsupported features",
    },
];

/// What an error of a server means.
pub fn trouble(said: &ServerError) -> Trouble {
    let meaning = MEANINGS.iter().find(|meaning| meaning.fits(said));
    meaning.map_or(Trouble::Unknown, |meaning| meaning.trouble)
}

impl Meaning {
    fn fits(&self, said: &ServerError) -> bool {
        let code = said.code.as_str();
        self.codes.iter().any(|begin| code.starts_with(begin))
            && match self.only {
                Only::All => true,
                Only::Routines(routines) => {
                    let routine = said.routine.as_deref();
                    routine.is_some_and(|routine| routines.contains(&routine))
                }
                Only::SystemCatalog => said.schema.as_deref() == Some("pg_catalog"),
                Only::Pooler(texts) => {
                    said.routine.is_none() && texts.iter().any(|text| said.message.contains(text))
                }
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, routine: Option<&str>, message: &str) -> ServerError {
        ServerError {
            code: code.to_owned(),
            routine: routine.map(str::to_owned),
            message: message.to_owned(),
            ..ServerError::default()
        }
    }

    #[test]
    fn the_routine_decides_and_not_the_text() {
        for (routine, expected) in [
            ("simple_heap_update", Trouble::Passing),
            ("simple_heap_delete", Trouble::Passing),
            ("RelationGetIndexList", Trouble::Unknown),
        ] {
            let error = said("XX000", Some(routine), "tuple concurrently updated");
            assert_eq!(trouble(&error), expected, "{routine}");
            let error = said("XX000", Some(routine), "Tupel gleichzeitig aktualisiert");
            assert_eq!(trouble(&error), expected, "{routine}");
        }
    }

    #[test]
    fn a_pooler_is_known_by_its_text_and_a_server_by_its_routine() {
        for (text, expected) in [
            ("query_wait_timeout", Trouble::NoPlace),
            (
                "no more connections allowed (max_client_conn)",
                Trouble::NoPlace,
            ),
            (
                "server login has been failing, try again later (server_login_retry)",
                Trouble::Unavailable,
            ),
            ("server conn crashed?", Trouble::Unavailable),
            ("query timeout", Trouble::Limit),
            ("no such user", Trouble::NotLetIn),
            ("SSL required", Trouble::NotLetIn),
        ] {
            assert_eq!(trouble(&said("08P01", None, text)), expected, "{text}");
            let server = said("08P01", Some("PostgresMain"), text);
            assert_eq!(trouble(&server), Trouble::NotLetIn, "{text}");
        }
    }

    #[test]
    fn one_key_of_the_system_catalog_is_not_one_of_ours() {
        let mut error = said("23505", Some("_bt_check_unique"), "…");
        for (schema, expected) in [("pg_catalog", Trouble::Passing), ("acme", Trouble::Row)] {
            error.schema = Some(schema.to_owned());
            assert_eq!(trouble(&error), expected);
        }
    }

    #[test]
    fn what_no_line_names_is_unknown() {
        for code in ["XX001", "XX000", "58030", "55000", "21000"] {
            assert_eq!(
                trouble(&said(code, Some("f"), "…")),
                Trouble::Unknown,
                "{code}"
            );
        }
    }
}
