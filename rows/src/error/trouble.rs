//! What an error says about another try.

/// `pg::sqlstate` reads it from what the server said; `engine::schedule::decision`
/// decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Something was in the way, and may be gone by the next try.
    Passing,
    /// The server cannot be reached, or accepts no session just now.
    Unavailable,
    /// The server accepts no writes just now.
    ReadOnly,
    /// The session ended in the middle of its work.
    SessionLost,
    /// All connections of the server, the role or the pooler are in use.
    NoPlace,
    /// Another transaction, or the recovery of a standby, needed what this one used.
    Conflict,
    /// A time limit or a person cancelled the statement.
    Cancelled,
    /// Memory or another resource of the server ran out.
    NoResources,
    DiskFull,
    /// What one query may use: temporary files, time.
    Limit,
    /// The login or the database is refused: the same for every query.
    NotLetIn,
    /// The query or its rights: the same for every day.
    Query,
    /// A value or a row.
    Row,
    /// A file.
    File,
    /// A server's error about which nothing is known.
    Unknown,
    /// Dayhaul refuses, or was stopped: another try would end the same way.
    Refusal,
}

impl Trouble {
    /// As it is called in `docs/errors.md`.
    pub fn as_str(self) -> &'static str {
        match self {
            Trouble::Passing => "passing",
            Trouble::Unavailable => "unavailable",
            Trouble::ReadOnly => "read-only",
            Trouble::SessionLost => "session lost",
            Trouble::NoPlace => "no connection left",
            Trouble::Conflict => "conflict",
            Trouble::Cancelled => "cancelled",
            Trouble::NoResources => "out of resources",
            Trouble::DiskFull => "disk full",
            Trouble::Limit => "limit",
            Trouble::NotLetIn => "not let in",
            Trouble::Query => "query",
            Trouble::Row => "row",
            Trouble::File => "file",
            Trouble::Unknown => "unknown",
            Trouble::Refusal => "refusal",
        }
    }

    /// Whether the same work may succeed when it is tried again as it is.
    pub fn may_pass(self) -> bool {
        match self {
            Trouble::Passing
            | Trouble::Unavailable
            | Trouble::ReadOnly
            | Trouble::SessionLost
            | Trouble::NoPlace
            | Trouble::Conflict
            | Trouble::Cancelled
            | Trouble::NoResources
            | Trouble::DiskFull => true,
            Trouble::Limit
            | Trouble::NotLetIn
            | Trouble::Query
            | Trouble::Row
            | Trouble::File
            | Trouble::Unknown
            | Trouble::Refusal => false,
        }
    }
}
