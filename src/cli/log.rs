//! Log lines on standard error.

use super::context::colour_wanted;
use super::global::LogFormat;
use crate::report::aside;
use std::io::{IsTerminal, Write};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Starts logging: warnings by default, each step with `--verbose`, errors with `--quiet`; `$DAYHAUL_LOG` overrides.
pub fn start(format: LogFormat, verbose: bool, quiet: bool) {
    let default = if verbose {
        "warn,dayhaul=debug"
    } else if quiet {
        "error"
    } else {
        "warn"
    };
    let asked = std::env::var("DAYHAUL_LOG").unwrap_or_default();
    let filter: Targets = match asked.parse() {
        Ok(filter) if !asked.is_empty() => filter,
        _ => default.parse().unwrap_or_default(),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_writer(|| BesideBars)
        .with_ansi(std::io::stderr().is_terminal() && colour_wanted());
    let registry = tracing_subscriber::registry();
    // Fails only when logging is already started, as in tests.
    let _ = match format {
        LogFormat::Text => registry.with(lines.with_filter(filter)).try_init(),
        LogFormat::Json => registry.with(lines.json().with_filter(filter)).try_init(),
    };
}

/// Standard error, a log line at a time, with progress bars out of the way.
struct BesideBars;

impl Write for BesideBars {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        aside(|| std::io::stderr().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
