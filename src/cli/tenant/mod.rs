//! `dayhaul tenant …`: whom to haul for.

mod add;
mod check;
mod enable;
mod list;
mod range;
mod test;

use super::Context;
use crate::error::Result;
use crate::unit::TenantName;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add a tenant: a source database to read from, and a schema in the warehouse to write to
    Add(add::Args),
    /// All tenants
    List,
    /// One tenant and its templates
    Show {
        #[arg(value_name = "NAME")]
        name: TenantName,
    },
    /// Connect to tenants: version, latency, rights, the days there are rows for
    Test(test::Args),
    /// Enable templates for a tenant, or the tenant itself
    Enable(enable::EnableArgs),
    /// Disable templates of a tenant, or the tenant itself: its rows stay, nothing more is loaded
    Disable(enable::DisableArgs),
}

pub async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Add(args) => add::run(args, context).await,
        Command::List => list::all(context).await,
        Command::Show { name } => list::one(&name, context).await,
        Command::Test(args) => test::run(args, context).await,
        Command::Enable(args) => enable::enable(args, context).await,
        Command::Disable(args) => enable::disable(args, context).await,
    }
}
