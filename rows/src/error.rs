//! Errors: their kind, their message, and the exit code they lead to.
//!
//! An [`Error`] has a *kind*, a message (a lowercase fragment), an optional hint (what the user does next), the side it
//! came from, the places it passed through (tenant, template, day), and a cause. Its message never holds a row's value
//! or a secret: PostgreSQL's DETAIL and CONTEXT, which may contain values, are kept separately in [`Error::detail`] and
//! shown only on request.

mod trouble;

use crate::day::{Day, ParseDayError};
use std::fmt;
pub use trouble::Trouble;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The category of an error. It decides the exit code and whether other work continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command line is invalid.
    Usage,
    /// A configuration file, an environment variable, a template file or a connection URL is invalid.
    Config,
    /// Dayhaul refuses, because data would be lost, truncated, overwritten or exposed.
    Refused,
    /// A server cannot be reached, or rejects the login.
    Connect,
    /// A server answered a statement with an error.
    Sql,
    /// A row's value does not fit what the template declares.
    Data,
    /// The bytes received do not follow the protocol.
    Protocol,
    /// Columns of the source and of the template do not match.
    Drift,
    /// Another run has locked the pair.
    Locked,
    /// No data arrived or was accepted for too long.
    Stalled,
    /// The user, or another host, stopped the run.
    Interrupted,
    /// A file could not be read or written.
    Io,
    /// A bug in Dayhaul.
    Bug,
}

/// Where an error came from: the tenant's server, the warehouse, or the landed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Source,
    Warehouse,
    Landing,
}

impl Side {
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Source => "source",
            Side::Warehouse => "warehouse",
            Side::Landing => "landing",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an error without an SQLSTATE is about, as far as its kind tells.
fn trouble_of(kind: Kind) -> Trouble {
    match kind {
        Kind::Stalled => Trouble::Passing,
        Kind::Connect => Trouble::NotLetIn,
        Kind::Data => Trouble::Row,
        Kind::Io => Trouble::File,
        Kind::Sql | Kind::Protocol => Trouble::Unknown,
        Kind::Usage
        | Kind::Config
        | Kind::Refused
        | Kind::Drift
        | Kind::Locked
        | Kind::Interrupted
        | Kind::Bug => Trouble::Refusal,
    }
}

/// An error on its way to the user.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    hint: Option<String>,
    /// Innermost first.
    context: Vec<String>,
    /// The side, and how many entries of `context` are inside it.
    side: Option<(Side, usize)>,
    sqlstate: Option<String>,
    detail: Option<String>,
    trouble: Trouble,
    day: Option<Day>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Why work of a run that was interrupted is not tried.
pub const INTERRUPTED: &str = "the run was interrupted";

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            context: Vec::new(),
            side: None,
            sqlstate: None,
            detail: None,
            trouble: trouble_of(kind),
            day: None,
            source: None,
        }))
    }

    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    pub fn config(message: impl Into<String>) -> Error {
        Error::new(Kind::Config, message)
    }

    pub fn refused(message: impl Into<String>) -> Error {
        Error::new(Kind::Refused, message)
    }

    /// The user, or another host, asked the run to end.
    pub fn interrupted() -> Error {
        Error::new(Kind::Interrupted, INTERRUPTED)
    }

    /// What the user does next: a sentence, or a command to run.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// Where it happened, innermost first: "template `flights`", then "tenant `jfk`".
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Error {
        self.0.context.push(place.into());
        self
    }

    /// The side it came from. Printed as the outermost of the places added so far: `warehouse: table …: message`.
    ///
    /// An error keeps the first side it was given. Setting one again only moves the place where the side is printed
    /// outwards, so a session can set its side and a caller that adds places can move it to the front.
    #[must_use]
    pub fn on(mut self, side: Side) -> Error {
        let side = self.side().unwrap_or(side);
        self.0.side = Some((side, self.0.context.len()));
        self
    }

    /// The side it came from; `None` for errors about the rows themselves, the usage, or Dayhaul's own mistakes.
    pub fn side(&self) -> Option<Side> {
        self.0.side.map(|(side, _)| side)
    }

    /// PostgreSQL's five-character SQLSTATE, and what it means.
    #[must_use]
    pub fn with_sqlstate(mut self, code: impl Into<String>, trouble: Trouble) -> Error {
        self.0.sqlstate = Some(code.into());
        self.0.trouble = trouble;
        self
    }

    #[must_use]
    pub fn with_trouble(mut self, trouble: Trouble) -> Error {
        self.0.trouble = trouble;
        self
    }

    /// Whether it may pass by itself.
    #[must_use]
    pub fn with_transient(self, transient: bool) -> Error {
        let trouble = match self.kind() {
            Kind::Connect if transient => Trouble::Unavailable,
            _ if transient => Trouble::Passing,
            kind => trouble_of(kind),
        };
        self.with_trouble(trouble)
    }

    /// A hint after the one that the error has, if it has one.
    #[must_use]
    pub fn and_hint(self, more: &str) -> Error {
        let hint = match self.hint() {
            Some(first) => format!("{first}; {more}"),
            None => more.to_owned(),
        };
        self.with_hint(hint)
    }

    /// The server's DETAIL and CONTEXT. They may contain row values, so they are shown only with `--show-values`.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Error {
        self.0.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// The day of the window that caused it. The other days can be loaded without it.
    #[must_use]
    pub fn on_day(mut self, day: Day) -> Error {
        self.0.day = Some(day);
        self
    }

    pub fn day(&self) -> Option<Day> {
        self.0.day
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }

    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Whether the same work may succeed on a retry.
    pub fn is_transient(&self) -> bool {
        self.trouble().may_pass()
    }

    pub fn trouble(&self) -> Trouble {
        self.0.trouble
    }

    /// The process's exit code when this error ends the command.
    pub fn exit_code(&self) -> u8 {
        match self.0.kind {
            Kind::Usage | Kind::Config | Kind::Refused => exit::WRONG_USE,
            Kind::Connect => exit::UNREACHABLE,
            Kind::Locked => exit::LOCKED,
            Kind::Interrupted => exit::INTERRUPTED,
            Kind::Sql
            | Kind::Data
            | Kind::Protocol
            | Kind::Drift
            | Kind::Stalled
            | Kind::Io
            | Kind::Bug => exit::FAILED,
        }
    }
}

impl fmt::Display for Error {
    /// `place: message`, the outermost place first. `source()` gives the cause, [`Error::hint`] the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (inside, outside) = match self.0.side {
            Some((_, inside)) => self.0.context.split_at(inside),
            None => (self.0.context.as_slice(), [].as_slice()),
        };
        for place in outside.iter().rev() {
            write!(f, "{place}: ")?;
        }
        if let Some(side) = self.side() {
            write!(f, "{side}: ")?;
        }
        for place in inside.iter().rev() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|e| e.as_ref() as &(dyn std::error::Error + 'static))
    }
}

impl From<ParseDayError> for Error {
    fn from(wrong: ParseDayError) -> Error {
        Error::usage(wrong.to_string())
    }
}

/// Adds a place to the error of a result: `read(path).at(|| format!("template `{name}`"))?`.
pub trait At<T> {
    /// # Errors
    /// The same error, with the place added.
    fn at(self, place: impl FnOnce() -> String) -> Result<T>;

    /// # Errors
    /// The same error, with the side it came from.
    fn on(self, side: Side) -> Result<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, place: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.at(place()))
    }

    fn on(self, side: Side) -> Result<T> {
        self.map_err(|e| e.on(side))
    }
}

/// Every exit code of the program.
pub mod exit {
    /// Everything succeeded.
    pub const OK: u8 = 0;
    /// Some units failed, or a check has findings.
    pub const FAILED: u8 = 1;
    /// Invalid arguments or configuration, or a refusal.
    pub const WRONG_USE: u8 = 2;
    /// The warehouse or every tenant is unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Every pair was locked by another run.
    pub const LOCKED: u8 = 4;
    /// Stopped by Ctrl-C, SIGTERM or `cancel`.
    pub const INTERRUPTED: u8 = 130;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_is_printed_around_the_places_it_was_set_after() {
        let error = Error::refused("too short").at("table `t`");
        assert_eq!(error.side(), None);
        let error = error.on(Side::Warehouse).at("tenant `acme`");
        assert_eq!(
            error.to_string(),
            "tenant `acme`: warehouse: table `t`: too short"
        );
    }

    #[test]
    fn an_error_keeps_its_first_side() {
        let error = Error::refused("gone").on(Side::Source).at("column `c`");
        let error = error.on(Side::Warehouse);
        assert_eq!(error.side(), Some(Side::Source));
        assert_eq!(error.to_string(), "source: column `c`: gone");
    }
}
