//! Asking before something is destroyed.

use crate::error::{Error, Kind, Result};
use std::io::{BufRead, IsTerminal, Write};

/// Asks on the terminal, unless the answer was given as `--yes`. Only `y` and `yes` are a yes.
///
/// # Errors
/// There is no terminal to ask on.
pub fn confirm(question: &str, yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Err(
            Error::usage("this wants a confirmation, and there is no terminal to ask on")
                .with_hint("add `--yes` to do it"),
        );
    }
    // A terminal that went away answers no, below.
    let _ = write!(std::io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(|e| Error::new(Kind::Io, "the answer cannot be read").with_source(e))?;
    let answer = answer.trim().to_ascii_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes"))
}
