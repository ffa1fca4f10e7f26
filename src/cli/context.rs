//! What every command gets: where the configuration is, and how to speak to the user.

use crate::config::{DEFAULT_FILE, Settings};
use crate::engine::report::event::Failure;
use crate::engine::report::run::RunReport;
use crate::error::{Error, Result};
use crate::report::{Style, aside, failure};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The global flags, and the one way out for text. Results go to standard output; notes, progress and errors to
/// standard error. A reader of either that went away ends nothing: the work goes on.
#[derive(Debug, Clone)]
pub struct Context {
    config: Option<PathBuf>,
    /// Results are one JSON object.
    pub json: bool,
    /// No notes, no progress.
    pub quiet: bool,
    pub verbose: bool,
    /// DETAIL and CONTEXT of PostgreSQL's errors may be shown.
    pub show_values: bool,
    /// Standard error is a terminal: bars may be drawn there.
    pub terminal: bool,
}

impl Context {
    pub fn new(
        config: Option<PathBuf>,
        json: bool,
        quiet: bool,
        verbose: bool,
        show_values: bool,
    ) -> Context {
        Context {
            config,
            json,
            quiet,
            verbose,
            show_values,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// The same with another configuration file.
    #[must_use]
    pub fn with_config(&self, config: &Path) -> Context {
        Context {
            config: Some(config.to_owned()),
            ..self.clone()
        }
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn settings(&self) -> Result<Settings> {
        Settings::load(self.config.as_deref())
    }

    /// The same with another warehouse, which the command line names; `password` refers to its password.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn settings_with_warehouse(&self, url: &str, password: Option<&str>) -> Result<Settings> {
        Settings::load_with_warehouse(self.config.as_deref(), url, password)
    }

    /// The configuration file of [`Context::settings`], if there is one, whatever the working folder of who reads it.
    pub fn configuration_file(&self) -> Option<PathBuf> {
        let set = std::env::var_os("DAYHAUL_CONFIG").filter(|v| !v.is_empty());
        let file = self
            .config
            .clone()
            .or_else(|| set.map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        std::fs::canonicalize(file).ok()
    }

    /// How progress is shown: bars on a terminal, lines elsewhere, nothing with `--quiet`.
    pub fn progress(&self) -> Style {
        match (self.quiet, self.terminal) {
            (true, _) => Style::Silent,
            (false, true) => Style::Bars,
            (false, false) => Style::Lines,
        }
    }

    /// A result for people, on standard output; a line break is added. Silent with `--json`.
    pub fn print(&self, text: impl AsRef<str>) {
        if !self.json {
            out(text.as_ref());
        }
    }

    /// The result for programs, on standard output. Silent without `--json`.
    pub fn print_json<T: Serialize>(&self, value: &T) {
        if self.json {
            match serde_json::to_string_pretty(value) {
                Ok(text) => out(&text),
                Err(e) => tracing::error!("the result cannot be written as JSON: {e}"),
            }
        }
    }

    /// Something good to know, on standard error; silent with `--quiet`.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            err(text.as_ref());
        }
    }

    /// Something a person should look at, on standard error.
    pub fn warn(&self, text: impl AsRef<str>) {
        err(&format!("warning: {}", text.as_ref()));
    }

    /// Why units failed, each cause once, on standard error.
    pub fn failures(&self, report: &RunReport) {
        self.causes(&report.failures);
    }

    /// As [`Context::failures`], for commands with a report of another kind.
    pub fn causes(&self, failures: &[Failure]) {
        if !failures.is_empty() {
            err(&failure::render(failures, self.show_values));
        }
    }

    /// Who ended the run from elsewhere, if somebody did.
    pub fn cancelled(&self, run: Option<i64>, by: Option<&str>) {
        if let (Some(run), Some(who)) = (run, by) {
            self.note(format!("run {run} was cancelled by {who}"));
        }
    }

    /// An error with its causes and what to do, on standard error.
    pub fn error(&self, error: &Error) {
        err(&render(error, self.show_values));
    }
}

/// Whether the user has not asked for plain text (<https://no-color.org>).
pub fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// `error: place: message`, then a line per cause, the server's detail if it may be shown, and the hint.
fn render(error: &Error, show_values: bool) -> String {
    let mut text = format!("error: {error}");
    for cause in failure::causes(error) {
        let _ = write!(text, "\n  cause: {cause}");
    }
    if show_values && let Some(detail) = error.detail() {
        for line in detail.lines() {
            let _ = write!(text, "\n  detail: {line}");
        }
    }
    if let Some(hint) = error.hint() {
        let _ = write!(text, "\nhint: {hint}");
    }
    text
}

fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

fn err(text: &str) {
    aside(|| {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn detail_is_shown_only_when_asked_for() {
        let error = Error::new(Kind::Sql, "value too long")
            .with_detail("Failing row contains (hunter2).")
            .with_hint("declare `text`")
            .at("tenant `acme`");
        assert_eq!(
            render(&error, false),
            "error: tenant `acme`: value too long\nhint: declare `text`"
        );
        assert!(render(&error, true).contains("detail: Failing row contains (hunter2)."));
    }
}
