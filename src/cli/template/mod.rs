//! `dayhaul template …`: write, review, load and show templates.

mod drop;
mod file;
mod lint;
mod list;
mod load;
mod new;
mod preview;
mod show;

use crate::cli::context::Context;
use crate::error::Result;

const EXAMPLES: &str = "\
Examples:
  dayhaul template new flights --query flights.sql --tenant acme
  dayhaul template lint templates/*.sql
  dayhaul template load templates/flights.sql --all-tenants";

#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Write a template file for a query, with the columns of a tenant
    New(new::Args),
    /// Load template files into the catalog
    Load(load::Args),
    /// Review template files, with --tenant also against the query's columns there
    Lint(lint::Args),
    /// Show the first rows of a day as a load would read them
    Preview(preview::Args),
    /// List the templates of the catalog
    #[command(after_help = "Examples:\n  dayhaul template list\n  dayhaul template list --json")]
    List,
    /// Show one template, its columns and its query
    Show(show::Args),
    /// Drop a template with its views, tables and ledger rows
    Drop(drop::Args),
}

/// # Errors
/// Those of the command.
pub async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::New(args) => new::run(args, context).await,
        Command::Load(args) => load::run(args, context).await,
        Command::Lint(args) => lint::run(args, context).await,
        Command::Preview(args) => preview::run(args, context).await,
        Command::List => list::run(context).await,
        Command::Show(args) => show::run(args, context).await,
        Command::Drop(args) => drop::run(args, context).await,
    }
}
