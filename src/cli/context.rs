//! What every command gets: where the configuration is, how to print, and when to end.

use super::global::GlobalArgs;
use super::signals::Interrupt;
use crate::config::{DEFAULT_FILE, Settings};
use crate::engine::locks::held_pairs::{HeldPairs, is_held};
use crate::engine::report::event::Failure;
use crate::engine::report::fold::FoldReport;
use crate::engine::report::run::RunReport;
use crate::error::{Error, Result};
use crate::report::{Progress, Style, aside, failure};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The global options, and the one way out for text. Results go to standard output; notes, progress and errors go to
/// standard error. When a reader of either goes away, the work continues.
#[derive(Debug, Clone)]
pub struct Context {
    config: Option<PathBuf>,
    /// Results are one JSON object.
    pub json: bool,
    /// No notes, no progress.
    pub quiet: bool,
    /// DETAIL and CONTEXT of PostgreSQL's errors may be shown.
    pub show_values: bool,
    /// Standard error is a terminal: bars may be drawn there.
    terminal: bool,
    interrupt: Interrupt,
}

impl Context {
    pub fn new(global: &GlobalArgs, interrupt: Interrupt) -> Context {
        Context {
            config: global.config.clone(),
            json: global.json,
            quiet: global.quiet,
            show_values: global.show_values,
            terminal: std::io::stderr().is_terminal(),
            interrupt,
        }
    }

    /// Cancelled by Ctrl-C and SIGTERM. A command that takes it must end cleanly by itself once it is cancelled; all others
    /// are dropped where they are.
    pub fn cancel(&self) -> CancellationToken {
        self.interrupt.token()
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

    /// The same with the warehouse that the command line names; `password` refers to its password.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn settings_with_warehouse(&self, url: &str, password: Option<&str>) -> Result<Settings> {
        Settings::load_with_warehouse(self.config.as_deref(), url, password)
    }

    /// The configuration file of [`Context::settings`], if there is one, as an absolute path.
    pub fn configuration_file(&self) -> Option<PathBuf> {
        let set = std::env::var_os("DAYHAUL_CONFIG").filter(|v| !v.is_empty());
        let file = self
            .config
            .clone()
            .or_else(|| set.map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        std::fs::canonicalize(file).ok()
    }

    /// Does `work` while its progress is shown: bars on a terminal, lines elsewhere, nothing with `--quiet`. `verb` is what
    /// is done to units.
    pub async fn with_progress<F: Future>(
        &self,
        verb: &'static str,
        work: impl FnOnce(Arc<Progress>) -> F,
    ) -> F::Output {
        let style = if self.quiet {
            Style::Silent
        } else if self.terminal {
            Style::Bars
        } else {
            Style::Lines
        };
        let progress = Arc::new(Progress::new(style, verb));
        let result = work(progress.clone()).await;
        progress.finish();
        result
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
                Err(e) => tracing::error!("failed to write the result as JSON: {e}"),
            }
        }
    }

    /// Useful information, on standard error; silent with `--quiet`.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            err(text.as_ref());
        }
    }

    /// Something a person should look at, on standard error.
    pub fn warn(&self, text: impl AsRef<str>) {
        err(&format!("warning: {}", text.as_ref()));
    }

    /// As [`Context::print`], of a table that only informs: silent with `--quiet`, however the run ended.
    pub fn table(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.print(text);
        }
    }

    /// Why units failed, on standard error, each cause once; and apart from that which pairs other runs hold, in a note if
    /// they are left to them.
    pub fn failures(&self, report: &RunReport, held: HeldPairs) {
        self.failures_and_held(&report.failures, report.not_recorded.as_ref(), held);
    }

    /// As [`Context::failures`], of a fold.
    pub fn failures_of_fold(&self, report: &FoldReport, held: HeldPairs) {
        self.failures_and_held(&report.failures, report.not_recorded.as_ref(), held);
    }

    fn failures_and_held(
        &self,
        failures: &[Failure],
        not_recorded: Option<&Error>,
        held: HeldPairs,
    ) {
        let (by_others, failed): (Vec<_>, Vec<_>) = failures.iter().partition(|f| is_held(f));
        if !by_others.is_empty() {
            let text = failure::held_by_others(&by_others, held.leave);
            if held.leave {
                self.note(text);
            } else {
                err(&text);
            }
        }
        self.causes(failed);
        if let Some(error) = not_recorded {
            self.error(error);
        }
    }

    /// As [`Context::failures`], for commands that take no locks.
    pub fn causes<'a>(&self, failures: impl IntoIterator<Item = &'a Failure>) {
        let text = failure::render(failures, self.show_values);
        if !text.is_empty() {
            err(&text);
        }
    }

    /// Who cancelled the run from another host, if somebody did.
    pub fn cancelled(&self, run: Option<i64>, by: Option<&str>) {
        if let (Some(run), Some(who)) = (run, by) {
            self.note(format!("run {run} was cancelled by {who}"));
        }
    }

    /// An error with its causes and its hint, on standard error.
    pub fn error(&self, error: &Error) {
        err(&render(error, self.show_values));
    }
}

/// Whether the user did not ask for plain text (<https://no-color.org>).
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
    fn detail_is_shown_only_on_request() {
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
