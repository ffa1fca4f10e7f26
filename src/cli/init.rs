//! `dayhaul init`.
use super::Context;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args, _context: &Context) -> Result<u8> {
    Ok(0)
}
