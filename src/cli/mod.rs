//! The command line: one file per command, each with its arguments and a short `run`.

mod backfill;
mod bench;
mod cancel;
mod confirm;
mod context;
mod demo;
mod destination;
mod fold;
mod global;
mod history;
mod init;
mod land;
mod landing_root;
mod laptop;
mod log;
mod rebuild;
mod refresh;
mod restore;
mod run_command;
mod selection;
mod shard;
mod signals;
mod snapshot;
mod status;
mod sync;
mod template;
mod tenant;
mod today;
mod unfold;
mod verify;
mod why;
mod window_proof;

use crate::error::{Error, Kind, Result, exit};
use clap::{Parser, Subcommand};
use context::Context;
use futures::future::LocalBoxFuture;
use global::GlobalArgs;
use signals::Interrupt;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  dayhaul demo                               see the whole way in a minute
  dayhaul backfill --tenant acme --last 30   load what is missing
  dayhaul sync                               the command for cron
  dayhaul help backfill                      help for one command

Exit codes: 0 done; 1 something failed or was found; 2 wrong use, wrong
configuration or refused; 3 unreachable; 4 locked by other runs;
130 interrupted.";

/// Loads each tenant's day from its own PostgreSQL database into one PostgreSQL warehouse
#[derive(Debug, Parser)]
#[command(
    name = "dayhaul",
    version,
    max_term_width = 80,
    arg_required_else_help = true,
    disable_help_flag = true,
    disable_version_flag = true,
    after_help = EXAMPLES
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See the whole way on private servers that are removed afterwards
    Demo(demo::Args),
    /// Measure Dayhaul against dblink and others on private servers
    Bench(Box<bench::Args>),
    /// Prepare the warehouse: roles, rights and the catalog
    Init(init::Args),
    /// Add, list, test, enable and disable tenants
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Write, review, load and show templates
    #[command(subcommand)]
    Template(template::Command),
    /// Load days that the warehouse does not have yet
    Backfill(backfill::Args),
    /// Compare days with their sources and write only what differs
    Refresh(refresh::Args),
    /// Load what is missing and refresh the latest days: the command for cron
    Sync(sync::Args),
    /// Load days again from scratch while readers keep the current rows
    Rebuild(rebuild::Args),
    /// Move closed days from their day tables into their year tables
    Fold(fold::Args),
    /// Move folded days back into their own day tables
    Unfold(unfold::Args),
    /// Write days of the warehouse as Parquet files
    Land(land::Args),
    /// Save the catalog next to the Parquet files, to restore a lost warehouse
    Snapshot(snapshot::Args),
    /// Load days from their Parquet files, into a new or a developer's warehouse
    Restore(restore::Args),
    /// Compare source, warehouse and ledger, row by row
    Verify(verify::Args),
    /// Show how far each tenant and template is: loaded, landed, failed, missing
    Status(status::Args),
    /// Show one day's history: what is loaded, by which runs, and what comes next
    Why(why::Args),
    /// Show runs, what they were for, how they ended and what failed
    History(history::Args),
    /// End a run cleanly, from any host
    Cancel(cancel::Args),
    /// Load the latest days, masked, into a private warehouse on this machine
    Laptop(laptop::Args),
}

/// How long the runtime may take to end its threads.
const SHUTDOWN: Duration = Duration::from_millis(500);

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
    let code = runtime.block_on(run);
    // Blocking calls that nobody waits for any more, such as a slow name lookup, do not hold up the end.
    runtime.shutdown_timeout(SHUTDOWN);
    ExitCode::from(code)
}

/// Parses the arguments, runs the command and returns the exit code. Prints the error, if there is one.
async fn run(arguments: Vec<OsString>) -> u8 {
    let interrupt = Interrupt::on_signals();
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
    let context = Context::new(global, interrupt.clone());
    let result = tokio::select! {
        biased;
        () = interrupt.unhandled() => Err(Error::new(Kind::Interrupted, "interrupted")),
        result = dispatch(cli.command, &context) => result,
    };
    result.unwrap_or_else(|error| {
        context.error(&error);
        error.exit_code()
    })
}

async fn dispatch(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Demo(args) => Box::pin(demo::run(args, context, dispatch_line)).await,
        Command::Bench(args) => Box::pin(bench::run(*args, context)).await,
        Command::Init(args) => init::run(args, context).await,
        Command::Tenant(command) => tenant::run(command, context).await,
        Command::Template(command) => template::run(command, context).await,
        Command::Backfill(args) => backfill::run(args, context).await,
        Command::Refresh(args) => refresh::run(args, context).await,
        Command::Sync(args) => sync::run(args, context).await,
        Command::Rebuild(args) => rebuild::run(args, context).await,
        Command::Fold(args) => fold::run(args, context).await,
        Command::Unfold(args) => unfold::run(args, context).await,
        Command::Land(args) => land::run(args, context).await,
        Command::Snapshot(args) => snapshot::run(args, context).await,
        Command::Restore(args) => Box::pin(restore::run(args, context)).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Why(args) => why::run(args, context).await,
        Command::History(args) => history::run(args, context).await,
        Command::Cancel(args) => cancel::run(args, context).await,
        Command::Laptop(args) => Box::pin(laptop::run(args, context)).await,
    }
}

/// Runs the command of a command line as part of another one, with another configuration file.
fn dispatch_line<'a>(
    arguments: &'a [OsString],
    context: &'a Context,
    config: &'a Path,
) -> LocalBoxFuture<'a, Result<u8>> {
    Box::pin(async move {
        let program = OsString::from("dayhaul");
        let cli = Cli::try_parse_from(std::iter::once(&program).chain(arguments))
            .map_err(|e| Error::new(Kind::Bug, e.to_string()))?;
        dispatch(cli.command, &context.with_config(config)).await
    })
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
