//! Options that every command takes.

use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Configuration file [default: $DAYHAUL_CONFIG, else ./dayhaul.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object on standard output instead of tables
    #[arg(long, global = true)]
    pub json: bool,
    /// Hide progress, notes and the tables of runs
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log each step; $DAYHAUL_LOG takes a finer filter
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Format of log lines on standard error
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value_t
    )]
    pub log_format: LogFormat,
    /// Show DETAIL and CONTEXT of PostgreSQL's errors, which may contain values of rows
    #[arg(long, global = true)]
    pub show_values: bool,
    /// Print help
    #[arg(long, short, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print the version
    #[arg(long, short = 'V', action = ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}
