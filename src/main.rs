//! The `dayhaul` program: everything it does is in the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    ExitCode::from(dayhaul::cli::run(std::env::args_os()).await)
}
