//! The command line: one file per command, each with its arguments and a short `run`.

pub mod backfill;
pub mod bench;
pub mod cancel;
pub mod confirm;
pub mod context;
pub mod demo;
pub mod fold;
pub mod history;
pub mod init;
pub mod land;
pub mod laptop;
mod load;
mod log;
pub mod place;
pub mod rebuild;
pub mod refresh;
pub mod restore;
mod root;
pub mod selection;
mod signals;
pub mod snapshot;
pub mod status;
pub mod sync;
pub mod template;
pub mod tenant;
pub mod unfold;
pub mod verify;
pub mod why;

pub use context::Context;

use crate::error::{Error, Kind, Result, exit};
use clap::{Args, Parser, Subcommand, ValueEnum};
use futures::future::LocalBoxFuture;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Hauls each tenant's day from its own PostgreSQL database into one PostgreSQL warehouse.
#[derive(Debug, Parser)]
#[command(
    name = "dayhaul",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Configuration file [default: $DAYHAUL_CONFIG, else ./dayhaul.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object on standard output instead of tables
    #[arg(long, global = true)]
    json: bool,
    /// No progress and no notes; errors and results remain
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Log what is done ($DAYHAUL_LOG takes a finer filter)
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// How log lines on standard error are written
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value_t
    )]
    log_format: LogFormat,
    /// Show what PostgreSQL says in DETAIL and CONTEXT, which may hold values of rows
    #[arg(long, global = true)]
    show_values: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole way on private servers that are gone afterwards
    Demo(demo::Args),
    /// Measure Dayhaul against dblink and others, on private servers, with the same rows
    Bench(Box<bench::Args>),
    /// Prepare the warehouse: roles, rights and the catalog
    Init(init::Args),
    /// Add, list, test, enable and disable tenants
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Load days that the warehouse does not have yet
    Backfill(backfill::Args),
    /// Compare days with their sources and write what differs
    Refresh(refresh::Args),
    /// Load days anew, a closed year as a whole, while readers keep what is there
    Rebuild(rebuild::Args),
    /// Load days from their Parquet files: a lost warehouse, or a developer's copy
    Restore(restore::Args),
    /// Write down the catalog beside the Parquet files: with both, a lost warehouse comes back
    Snapshot(snapshot::Args),
    /// Load what is missing and refresh the latest days: the one command for cron
    Sync(sync::Args),
    /// Write days that the warehouse has as Parquet files
    Land(land::Args),
    /// Move closed days from their day tables into their year tables
    Fold(fold::Args),
    /// Bring folded days back into day tables of their own
    Unfold(unfold::Args),
    /// End a run cleanly, from any host
    Cancel(cancel::Args),
    /// Show runs, how they ended and what failed
    History(history::Args),
    /// Show how far each tenant and template is: loaded, landed, failed, missing
    Status(status::Args),
    /// Show one day's life: what is loaded, by which runs, and what comes next
    Why(why::Args),
    /// Compare source, warehouse and ledger, row by row
    Verify(verify::Args),
    /// Bring the latest days onto a private server of your own, masked on the way
    Laptop(laptop::Args),
    /// Write, review, load and look at templates
    #[command(subcommand)]
    Template(template::Command),
}

/// The program, from its arguments to its exit code (see [`exit`]). Not generic and not `async`: whoever calls it compiles
/// none of the library's code again.
pub fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(e) => {
            // Before there are arguments, nothing says how errors are shown.
            let _ = writeln!(std::io::stderr(), "error: failed to start: {e}");
            return ExitCode::from(exit::FAILED);
        }
    };
    let run: LocalBoxFuture<'_, u8> = Box::pin(run(std::env::args_os().collect()));
    ExitCode::from(runtime.block_on(run))
}

/// Parses the arguments, runs the command and returns the exit code. Prints the error, if there is one.
async fn run(arguments: Vec<OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version come this way, too. A reader that went away is no reason to fail.
            let _ = e.print();
            return u8::try_from(e.exit_code()).unwrap_or(exit::WRONG_USE);
        }
    };
    let global = &cli.global;
    log::start(global.log_format, global.verbose, global.quiet);
    let context = Context::new(
        global.config.clone(),
        global.json,
        global.quiet,
        global.verbose,
        global.show_values,
    );
    match dispatch(cli.command, &context).await {
        Ok(code) => code,
        Err(error) => {
            context.error(&error);
            error.exit_code()
        }
    }
}

async fn dispatch(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Demo(args) => Box::pin(demo::run(args, context)).await,
        Command::Bench(args) => Box::pin(bench::run(*args, context)).await,
        Command::Init(args) => init::run(args, context).await,
        Command::Backfill(args) => backfill::run(args, context).await,
        Command::Refresh(args) => refresh::run(args, context).await,
        Command::Rebuild(args) => rebuild::run(args, context).await,
        Command::Restore(args) => Box::pin(restore::run(args, context)).await,
        Command::Snapshot(args) => snapshot::run(args, context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Sync(args) => sync::run(args, context).await,
        Command::Land(args) => land::run(args, context).await,
        Command::Fold(args) => fold::run(args, context).await,
        Command::Unfold(args) => unfold::run(args, context).await,
        Command::Cancel(args) => cancel::run(args, context).await,
        Command::History(args) => history::run(args, context).await,
        Command::Why(args) => why::run(args, context).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Laptop(args) => Box::pin(laptop::run(args, context)).await,
        Command::Tenant(command) => tenant::run(command, context).await,
        Command::Template(command) => template::run(command, context).await,
    }
}

/// Runs the command of a command line as part of another one, with another configuration file.
async fn dispatch_line(arguments: &[OsString], context: &Context, config: &Path) -> Result<u8> {
    let program = OsString::from("dayhaul");
    let cli = Cli::try_parse_from(std::iter::once(&program).chain(arguments))
        .map_err(|e| Error::new(Kind::Bug, e.to_string()))?;
    dispatch(cli.command, &context.with_config(config)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
