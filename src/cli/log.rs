//! Log lines on standard error.

use super::LogFormat;
use crate::report::aside;
use std::io::{IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// Starts logging: warnings, with `--verbose` what Dayhaul does, with `--quiet` errors; `$DAYHAUL_LOG` overrides.
pub fn start(format: LogFormat, verbose: bool, quiet: bool) {
    let default = match (verbose, quiet) {
        (true, _) => "warn,dayhaul=debug",
        (_, true) => "error",
        _ => "warn",
    };
    let filter = EnvFilter::try_from_env("DAYHAUL_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(|| BesideBars)
        .with_ansi(std::io::stderr().is_terminal() && super::context::colour_wanted());
    // Fails only when logging was started before, as it may be in tests.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Standard error, a log line at a time, while progress bars stand aside.
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
