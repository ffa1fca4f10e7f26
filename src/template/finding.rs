//! A problem in a template file: its line, its severity, and what to write instead.

use crate::error::Error;
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The template cannot be used.
    Error,
    /// It works, but slowly, or perhaps not as intended.
    Warning,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One problem in one line of a template file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Line in the file, from 1.
    pub line: usize,
    pub severity: Severity,
    /// What is wrong and why it matters.
    pub message: String,
    /// What to write.
    pub help: Option<String>,
}

impl Finding {
    pub fn error(line: usize, message: impl Into<String>) -> Finding {
        Finding {
            line,
            severity: Severity::Error,
            message: message.into(),
            help: None,
        }
    }

    pub fn warning(line: usize, message: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..Finding::error(line, message)
        }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// `file:12: error: …`, then the line itself and the help.
    pub fn render(&self, file: &str, source: &str) -> String {
        let mut text = format!(
            "{file}:{}: {}: {}\n",
            self.line,
            self.severity.as_str(),
            self.message
        );
        if let Some(line) = source.lines().nth(self.line.saturating_sub(1)) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:>6} | {}", self.line, line.trim_end());
        }
        if let Some(help) = &self.help {
            let _ = writeln!(text, "       = help: {help}");
        }
        text
    }
}

impl From<Finding> for Error {
    fn from(finding: Finding) -> Error {
        let error = Error::config(format!("line {}: {}", finding.line, finding.message));
        match finding.help {
            Some(help) => error.with_hint(help),
            None => error,
        }
    }
}
