//! `dayhaul tenant …`.
use super::Context;
use crate::error::Result;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    List,
}

pub async fn run(_command: Command, _context: &Context) -> Result<u8> {
    Ok(0)
}
