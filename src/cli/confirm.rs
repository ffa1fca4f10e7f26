//! Asking for confirmation before something is destroyed.

use crate::error::{Error, Kind, Result};
use std::io::{BufRead, IsTerminal, Write};

/// Asks on the terminal, unless `--yes` was given. Only `y` and `yes` confirm.
///
/// # Errors
/// There is no terminal.
pub fn confirm(question: &str, yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Err(
            Error::usage("this command asks for confirmation, and there is no terminal")
                .with_hint("add `--yes` to confirm"),
        );
    }
    // A terminal that is gone counts as no, below.
    let _ = write!(std::io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(|e| Error::new(Kind::Io, "failed to read the answer").with_source(e))?;
    let answer = answer.trim().to_ascii_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes"))
}
