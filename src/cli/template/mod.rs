//! `dayhaul template …`: write, review, register and look at templates.

mod drop;
mod lint;
mod list;
mod load;
mod new;
mod preview;
mod show;
mod source;

use super::Context;
use crate::error::{At, Error, Kind, Result};
use crate::unit::TemplateName;
use std::path::Path;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write a template file for a query, with columns inferred from a tenant
    New(new::Args),
    /// Register template files in the catalog
    Load(load::Args),
    /// Review template files; with --tenant also against what the query returns there
    Lint(lint::Args),
    /// Show the first rows of a day as they would be loaded
    Preview(preview::Args),
    /// List the templates of the catalog
    List,
    /// Show one template, its columns and its query
    Show(show::Args),
    /// Drop a template with its views, tables and ledger
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

/// A template file: its name is the file's, without `.sql`.
struct File {
    /// As the user named it.
    shown: String,
    name: TemplateName,
    source: String,
}

impl File {
    fn read(path: &Path) -> Result<File> {
        let shown = path.display().to_string();
        let stem = path.file_stem().and_then(|s| s.to_str());
        let name = stem
            .ok_or_else(|| Error::usage("the file's name is no template's name"))
            .and_then(TemplateName::parse)
            .at(|| format!("`{shown}`"))?;
        let source = read_text(path)?;
        Ok(File {
            shown,
            name,
            source,
        })
    }
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| {
        Error::new(Kind::Config, format!("`{}` cannot be read", path.display())).with_source(e)
    })
}
