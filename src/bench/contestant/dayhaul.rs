//! Dayhaul, by its own command line.

use super::Contestant;
use super::statements::{commented, held};
use crate::bench::evidence::Evidence;
use crate::bench::ground::Work;
use crate::bench::lane::Lane;
use crate::bench::meter::Used;
use crate::bench::meter::child::{Ended, leashed};
use crate::error::{Error, Kind, Result};
use crate::sql::qualified;
use crate::unit::Window;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const NAME: &str = "dayhaul";
pub const DAYS: &str = "dayhaul-days";
pub const LANDING: &str = "dayhaul-landing";
pub const FOLD: &str = "dayhaul-fold";

/// The file names of a lane.
const CONFIGURATION: &str = "dayhaul.toml";

/// How the template's days are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// As the template says.
    AsIs,
    /// Every day of the period stays a table of its own.
    DayTables,
    /// As the template says, and each day as a Parquet file, too.
    Landing,
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// All days of the window, into an empty warehouse.
    Backfill,
    /// All days of the window, which are loaded before.
    Refresh,
    /// From day tables into year tables.
    Fold,
}

pub struct Dayhaul {
    pub variant: Variant,
    pub act: Act,
}

impl Dayhaul {
    pub fn backfill(variant: Variant) -> Dayhaul {
        Dayhaul {
            variant,
            act: Act::Backfill,
        }
    }

    /// The command line that is timed.
    fn command(&self, lane: &Lane) -> Vec<String> {
        match self.act {
            Act::Backfill => {
                let mut line = selection("backfill", lane.window);
                if self.variant == Variant::Landing {
                    line.push("--land".to_owned());
                }
                line
            }
            Act::Refresh => selection("refresh", lane.window),
            Act::Fold => vec!["fold".to_owned()],
        }
    }

    /// Command lines that are not timed, in order.
    fn before(&self, lane: &Lane) -> Vec<Vec<String>> {
        let mut lines = setup(lane, self.variant);
        if self.act != Act::Backfill {
            lines.push(selection("backfill", lane.window));
        }
        if self.act == Act::Fold {
            lines.push(load_template(lane, "closed"));
        }
        lines
    }
}

/// `backfill --from D --to D`.
fn selection(command: &str, window: Window) -> Vec<String> {
    let (from, to) = (window.from.to_string(), window.to.plus(-1).to_string());
    [command, "--from", &from, "--to", &to]
        .map(str::to_owned)
        .to_vec()
}

fn load_template(lane: &Lane, folder: &str) -> Vec<String> {
    let file = lane
        .folder
        .join(format!("{folder}/{}.sql", lane.template.name));
    ["template", "load", &file.to_string_lossy()]
        .map(str::to_owned)
        .to_vec()
}

/// From an empty database to enabled tenants.
fn setup(lane: &Lane, variant: Variant) -> Vec<Vec<String>> {
    let folder = match variant {
        Variant::AsIs | Variant::Landing => "as_is",
        Variant::DayTables => "day_tables",
    };
    let mut lines = vec![vec!["init".to_owned()], load_template(lane, folder)];
    for source in &lane.sources {
        let name = source.schema.as_str();
        let template = lane.template.name.as_str();
        let (url, add) = (source.endpoint.conninfo.as_str(), ["tenant", "add", name]);
        let mut line: Vec<String> = add.map(str::to_owned).to_vec();
        line.extend(["--url", url, "--template", template].map(str::to_owned));
        if let Some(reference) = &source.password {
            line.extend(["--password".to_owned(), reference.clone()]);
        }
        for (key, value) in &source.vars {
            line.extend(["--var".to_owned(), format!("{key}={value}")]);
        }
        lines.push(line);
    }
    lines
}

/// Makes an empty database a warehouse with all tenants of the lane.
///
/// # Errors
/// A command fails.
pub async fn settle(lane: &Lane, variant: Variant) -> Result<()> {
    write_files(lane)?;
    for line in setup(lane, variant) {
        call(lane, &line).await?;
    }
    Ok(())
}

/// Loads the lane's days for all its tenants.
///
/// # Errors
/// The command fails.
pub async fn backfill(lane: &Lane) -> Result<()> {
    call(lane, &selection("backfill", lane.window)).await?;
    Ok(())
}

/// The configuration, and the template in three moods.
fn write_files(lane: &Lane) -> Result<()> {
    let write = |name: &Path, text: &str| {
        let path = lane.folder.join(name);
        let folder = path.parent().unwrap_or(&lane.folder);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|e| {
                Error::new(Kind::Io, format!("cannot write `{}`", path.display())).with_source(e)
            })
    };
    let lake = lane.folder.join("lake");
    std::fs::create_dir_all(&lake).map_err(|e| {
        Error::new(Kind::Io, format!("cannot make `{}`", lake.display())).with_source(e)
    })?;
    if let Some(text) = &lane.launch.text {
        write(Path::new(CONFIGURATION), text)?;
    }
    let source = &lane.template.source;
    let beyond = lane.window.len() + 30;
    for (folder, text) in [
        ("as_is", source.clone()),
        ("day_tables", with_open_days(source, beyond)),
        ("closed", with_open_days(source, 1)),
    ] {
        let name = format!("{}.sql", lane.template.name);
        write(&PathBuf::from(folder).join(name), &text)?;
    }
    Ok(())
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
        Some(there) => lines[there] = line,
        // Keys of the top level come before the first table; the comment's own line holds its opening.
        None => lines.insert(1, line),
    }
    lines.join("\n") + "\n"
}

/// Runs the program.
async fn call(lane: &Lane, arguments: &[String]) -> Result<Ended> {
    let mut command = Command::new(&lane.program);
    let own = || lane.folder.join(CONFIGURATION);
    let written = lane.launch.text.as_ref().map(|_| own());
    if let Some(file) = lane.launch.file.clone().or(written) {
        command.arg("--config").arg(file);
    }
    command
        .args(["--quiet", "--json"])
        .args(arguments)
        .envs(lane.launch.variables.iter().cloned());
    let what = format!("`dayhaul {}`", arguments.first().map_or("", String::as_str));
    leashed(move |leash| leash.run(command)).await?.ok(&what)
}

impl Contestant for Dayhaul {
    fn name(&self) -> &str {
        match (self.act, self.variant) {
            (Act::Fold, _) => FOLD,
            (_, Variant::AsIs) => NAME,
            (_, Variant::DayTables) => DAYS,
            (_, Variant::Landing) => LANDING,
        }
    }

    fn title(&self) -> String {
        match (self.act, self.variant) {
            (Act::Fold, _) => "dayhaul fold".into(),
            (Act::Refresh, _) => "dayhaul refresh".into(),
            (Act::Backfill, Variant::AsIs) => "dayhaul backfill".into(),
            (Act::Backfill, Variant::DayTables) => "dayhaul backfill, day tables only".into(),
            (Act::Backfill, Variant::Landing) => "dayhaul backfill, with landing as Parquet".into(),
        }
    }

    fn script(&self, lane: &Lane) -> Result<String> {
        let line = |arguments: &Vec<String>| {
            let quoted: Vec<String> = arguments.iter().map(|a| shell_word(a)).collect();
            format!("dayhaul {}\n", quoted.join(" "))
        };
        let before: String = self.before(lane).iter().map(line).collect();
        let jobs = lane.jobs;
        let how = match self.variant {
            Variant::AsIs => String::new(),
            Variant::Landing => "; `landing.url` is a local folder".to_owned(),
            Variant::DayTables => format!(
                "; the template with `open_days = {}`",
                lane.window.len() + 30
            ),
        };
        let closed = match self.act {
            Act::Fold => " (the last of them loads the template with `open_days = 1`)",
            _ => "",
        };
        Ok([
            commented(&format!("Not timed{closed}:"), &before),
            commented(
                &format!("Timed, `load.jobs = {jobs}` and otherwise as it comes{how}:"),
                &line(&self.command(lane)),
            ),
        ]
        .join("\n"))
    }

    fn prepare<'a>(&'a self, lane: &'a Lane) -> Work<'a, ()> {
        Box::pin(async move {
            write_files(lane)?;
            for line in self.before(lane) {
                call(lane, &line).await?;
            }
            Ok(())
        })
    }

    fn run<'a>(&'a self, lane: &'a Lane) -> Work<'a, Used> {
        Box::pin(async move { Ok(call(lane, &self.command(lane)).await?.own.into()) })
    }

    /// What readers see: the tenants' views. What was landed must hold the same by `dayhaul verify`.
    fn output<'a>(&'a self, lane: &'a Lane) -> Work<'a, Evidence> {
        let views = lane.sources.iter().map(|source| {
            let view = qualified(source.schema.as_str(), lane.template.name.as_str());
            (view, lane.window)
        });
        let views: Vec<_> = views.collect();
        Box::pin(async move {
            if self.variant == Variant::Landing {
                let mut verify = selection("verify", lane.window);
                verify.extend(["--against", "parquet"].map(str::to_owned));
                call(lane, &verify).await?;
            }
            held(lane, views).await
        })
    }
}

/// As a shell takes it.
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
    fn open_days_are_set_where_they_were_and_where_they_were_not() {
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
