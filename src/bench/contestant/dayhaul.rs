//! Dayhaul, by its command line.

use super::Contestant;
use super::statements::{commented, loaded_rows};
use crate::bench::environment::Work;
use crate::bench::fingerprint::Fingerprint;
use crate::bench::meter::ContestantUsage;
use crate::bench::meter::process::{ProcessResult, with_processes};
use crate::bench::sandbox::Sandbox;
use crate::error::{Error, Kind, Result};
use crate::pg::settings::search_path::list;
use crate::sql::qualified;
use crate::unit::Window;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const NAME: &str = "dayhaul";
pub const DAYS: &str = "dayhaul-days";
pub const LANDING: &str = "dayhaul-landing";
pub const FOLD: &str = "dayhaul-fold";

/// The configuration file in a sandbox's folder.
const CONFIGURATION: &str = "dayhaul.toml";

/// How the days are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// As the template sets it.
    Default,
    /// Every day of the period in its own table.
    DayTables,
    /// As the template sets it, and each day as a Parquet file.
    Landing,
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// All days of the window, into an empty warehouse.
    Backfill,
    /// All days of the window, which are already loaded.
    Refresh,
    /// From day tables into year tables.
    Fold,
}

pub struct Dayhaul {
    pub variant: Variant,
    pub operation: Operation,
}

impl Dayhaul {
    pub fn backfill(variant: Variant) -> Dayhaul {
        Dayhaul {
            variant,
            operation: Operation::Backfill,
        }
    }

    /// The command line that is timed.
    fn command(&self, sandbox: &Sandbox) -> Vec<String> {
        match self.operation {
            Operation::Backfill => {
                let mut line = selection("backfill", sandbox.window);
                if self.variant == Variant::Landing {
                    line.push("--land".to_owned());
                }
                line
            }
            Operation::Refresh => selection("refresh", sandbox.window),
            Operation::Fold => vec!["fold".to_owned()],
        }
    }

    /// The command lines that are run before, not timed.
    fn preparation(&self, sandbox: &Sandbox) -> Vec<Vec<String>> {
        let mut lines = setup_commands(sandbox, self.variant);
        if self.operation != Operation::Backfill {
            lines.push(selection("backfill", sandbox.window));
        }
        if self.operation == Operation::Fold {
            lines.push(load_template(sandbox, "closed"));
        }
        lines
    }
}

/// `backfill --from D --to D`.
pub fn selection(command: &str, window: Window) -> Vec<String> {
    let (from, to) = (window.from.to_string(), window.to.plus(-1).to_string());
    [command, "--from", &from, "--to", &to]
        .map(str::to_owned)
        .to_vec()
}

fn load_template(sandbox: &Sandbox, folder: &str) -> Vec<String> {
    let file = sandbox
        .folder
        .join(format!("{folder}/{}.sql", sandbox.template.name));
    ["template", "load", &file.to_string_lossy()]
        .map(str::to_owned)
        .to_vec()
}

/// Command lines that set up a warehouse with all tenants of the sandbox.
fn setup_commands(sandbox: &Sandbox, variant: Variant) -> Vec<Vec<String>> {
    let folder = match variant {
        Variant::Default | Variant::Landing => "default",
        Variant::DayTables => "day_tables",
    };
    let mut lines = vec![vec!["init".to_owned()], load_template(sandbox, folder)];
    for source in &sandbox.sources {
        let name = source.schema.as_str();
        let template = sandbox.template.name.as_str();
        let (url, add) = (source.endpoint.conninfo.as_str(), ["tenant", "add", name]);
        let mut line: Vec<String> = add.map(str::to_owned).to_vec();
        line.extend(["--url", url, "--template", template].map(str::to_owned));
        if let Some(reference) = &source.password {
            line.extend(["--password".to_owned(), reference.clone()]);
        }
        for (key, value) in &source.vars {
            line.extend(["--var".to_owned(), format!("{key}={value}")]);
        }
        if let Some(schema) = &source.source_schema {
            line.extend(["--source-schema".to_owned(), schema.clone()]);
        }
        if let Some(schemas) = source.search_path.schemas() {
            line.extend(["--search-path".to_owned(), list(&schemas)]);
        }
        lines.push(line);
    }
    lines
}

/// Sets up a warehouse with all tenants of the sandbox.
///
/// # Errors
/// A command fails.
pub async fn set_up(sandbox: &Sandbox, variant: Variant) -> Result<()> {
    write_files(sandbox)?;
    for line in setup_commands(sandbox, variant) {
        run_program(sandbox, &line).await?;
    }
    Ok(())
}

/// Loads all days of the sandbox for all its tenants.
///
/// # Errors
/// The command fails.
pub async fn backfill(sandbox: &Sandbox) -> Result<()> {
    run_program(sandbox, &selection("backfill", sandbox.window)).await?;
    Ok(())
}

/// Writes the configuration file, and the template with three settings of `open_days`.
fn write_files(sandbox: &Sandbox) -> Result<()> {
    let write = |name: &Path, text: &str| {
        let path = sandbox.folder.join(name);
        let folder = path.parent().unwrap_or(&sandbox.folder);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|e| {
                Error::new(Kind::Io, format!("failed to write `{}`", path.display())).with_source(e)
            })
    };
    let landing = sandbox.landing_folder();
    std::fs::create_dir_all(&landing).map_err(|e| {
        Error::new(
            Kind::Io,
            format!("failed to create folder `{}`", landing.display()),
        )
        .with_source(e)
    })?;
    if let Some(text) = &sandbox.launch.text {
        write(Path::new(CONFIGURATION), text)?;
    }
    let source = &sandbox.template.source;
    let all_open = open_days_for_all(sandbox);
    for (folder, text) in [
        ("default", source.clone()),
        ("day_tables", with_open_days(source, all_open)),
        ("closed", with_open_days(source, 1)),
    ] {
        let name = format!("{}.sql", sandbox.template.name);
        write(&PathBuf::from(folder).join(name), &text)?;
    }
    Ok(())
}

/// More open days than the period has, so that every day stays a day table.
fn open_days_for_all(sandbox: &Sandbox) -> usize {
    sandbox.window.len() + 30
}

/// The template file with another number of open days.
fn with_open_days(source: &str, days: usize) -> String {
    let mut lines: Vec<String> = source.lines().map(str::to_owned).collect();
    let end = lines.iter().position(|l| l.contains("*/")).unwrap_or(0);
    let declares = |line: &String| {
        let rest = line.trim_start().strip_prefix("open_days");
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let line = format!("open_days = {days}");
    match lines[..end].iter().position(declares) {
        Some(found) => lines[found] = line,
        // Line 0 opens the comment; top-level keys come before the first table.
        None => lines.insert(1, line),
    }
    lines.join("\n") + "\n"
}

/// Runs Dayhaul.
///
/// # Errors
/// It cannot be started, or fails.
pub async fn run_program(sandbox: &Sandbox, arguments: &[String]) -> Result<ProcessResult> {
    let mut command = Command::new(&sandbox.program);
    let own = || sandbox.folder.join(CONFIGURATION);
    let written = sandbox.launch.text.as_ref().map(|_| own());
    if let Some(file) = sandbox.launch.file.clone().or(written) {
        command.arg("--config").arg(file);
    }
    command
        .args(["--quiet", "--json"])
        .args(arguments)
        .envs(sandbox.launch.variables.iter().cloned());
    let what = format!("`dayhaul {}`", arguments.first().map_or("", String::as_str));
    with_processes(move |processes| processes.run(command))
        .await?
        .ok(&what)
}

impl Contestant for Dayhaul {
    fn name(&self) -> &str {
        match (self.operation, self.variant) {
            (Operation::Fold, _) => FOLD,
            (_, Variant::Default) => NAME,
            (_, Variant::DayTables) => DAYS,
            (_, Variant::Landing) => LANDING,
        }
    }

    fn title(&self) -> String {
        match (self.operation, self.variant) {
            (Operation::Fold, _) => "dayhaul fold".into(),
            (Operation::Refresh, _) => "dayhaul refresh".into(),
            (Operation::Backfill, Variant::Default) => "dayhaul backfill".into(),
            (Operation::Backfill, Variant::DayTables) => "dayhaul backfill, day tables only".into(),
            (Operation::Backfill, Variant::Landing) => {
                "dayhaul backfill, with landing as Parquet".into()
            }
        }
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        let first = Sandbox {
            sources: vec![sandbox.source().clone()],
            ..sandbox.clone()
        };
        let preparation = self.preparation(&first);
        let preparation: String = preparation.iter().map(|line| command_line(line)).collect();
        let tenants = match sandbox.sources.len() {
            1 => String::new(),
            n => format!(", with `tenant add` for each of {n} tenants"),
        };
        let jobs = sandbox.jobs;
        let how = match self.variant {
            Variant::Default => String::new(),
            Variant::Landing => "; `landing.url` is a local folder".to_owned(),
            Variant::DayTables => format!(
                "; the template with `open_days = {}`",
                open_days_for_all(sandbox)
            ),
        };
        let closed = match self.operation {
            Operation::Fold => " (the last one loads the template with `open_days = 1`)",
            _ => "",
        };
        Ok([
            commented(&format!("Not timed{closed}{tenants}:"), &preparation),
            commented(
                &format!("Timed, with `load.jobs = {jobs}` and default settings{how}:"),
                &command_line(&self.command(sandbox)),
            ),
        ]
        .join("\n"))
    }

    fn prepare<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ()> {
        Box::pin(async move {
            write_files(sandbox)?;
            for line in self.preparation(sandbox) {
                run_program(sandbox, &line).await?;
            }
            Ok(())
        })
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            Ok(run_program(sandbox, &self.command(sandbox))
                .await?
                .own
                .into())
        })
    }

    /// The rows of the tenants' views. Landed files are compared with them by `dayhaul verify`.
    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        let views = sandbox.sources.iter().map(|source| {
            let view = qualified(source.schema.as_str(), sandbox.template.name.as_str());
            (view, sandbox.window)
        });
        let views: Vec<_> = views.collect();
        Box::pin(async move {
            if self.variant == Variant::Landing {
                let mut verify = selection("verify", sandbox.window);
                verify.extend(["--against", "parquet"].map(str::to_owned));
                run_program(sandbox, &verify).await?;
            }
            loaded_rows(sandbox, views).await
        })
    }
}

/// A call of Dayhaul, as a line for a shell.
pub fn command_line(arguments: &[String]) -> String {
    let quoted: Vec<String> = arguments.iter().map(|a| shell_word(a)).collect();
    format!("dayhaul {}\n", quoted.join(" "))
}

/// Quotes a word for a shell.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::TEMPLATE;
    use crate::template::Template;
    use crate::unit::TemplateName;

    fn open_days(source: &str) -> u32 {
        let name = TemplateName::parse("x").unwrap();
        Template::parse(name, source).unwrap().open_days
    }

    #[test]
    fn open_days_are_replaced_or_added() {
        let set = with_open_days(TEMPLATE, 400);
        assert_eq!(open_days(&set), 400);
        assert_eq!(open_days(&with_open_days(&set, 1)), 1);
    }

    #[test]
    fn a_connection_string_is_one_word() {
        assert_eq!(shell_word("host=a user=b"), "'host=a user=b'");
        assert_eq!(shell_word("--from"), "--from");
    }
}
