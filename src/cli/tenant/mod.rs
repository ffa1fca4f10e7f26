//! `dayhaul tenant …`: the source databases.

mod add;
mod enable;
mod list;
mod set;
mod source;
mod test;

use crate::cli::context::Context;
use crate::error::Result;
use crate::unit::TenantName;

const EXAMPLES: &str = "\
Examples:
  dayhaul tenant add acme --url postgres://reader@db.acme.example/app \\
    --password env:ACME_PASSWORD --template flights
  dayhaul tenant set acme --url postgres://reader@new-db.acme.example/app
  dayhaul tenant test --all
  dayhaul tenant disable acme";

#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Add a tenant: a source database and its schema in the warehouse
    Add(add::Args),
    /// Change a tenant's connection, password reference, schemas or variables
    Set(set::Args),
    /// List all tenants
    #[command(after_help = "Examples:\n  dayhaul tenant list\n  dayhaul tenant list --json")]
    List,
    /// Show one tenant and its templates
    #[command(
        after_help = "Examples:\n  dayhaul tenant show acme\n  dayhaul tenant show acme --json"
    )]
    Show {
        /// The tenant's name
        #[arg(value_name = "NAME")]
        name: TenantName,
    },
    /// Connect to tenants: show version, latency, rights and days with rows
    Test(test::Args),
    /// Enable templates for a tenant, or the tenant itself
    Enable(enable::EnableArgs),
    /// Disable templates of a tenant, or the tenant itself; loaded rows stay
    Disable(enable::DisableArgs),
}

pub async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Add(args) => add::run(args, context).await,
        Command::Set(args) => set::run(args, context).await,
        Command::List => list::all(context).await,
        Command::Show { name } => list::one(&name, context).await,
        Command::Test(args) => test::run(args, context).await,
        Command::Enable(args) => enable::enable(args, context).await,
        Command::Disable(args) => enable::disable(args, context).await,
    }
}
