//! `dayhaul laptop`: loads the latest days of some tenants into a private warehouse, masked on the way.

use super::context::Context;
use super::selection::{SelectionArgs, enabled_pairs};
use crate::catalog::Catalog;
use crate::engine::locks::held_pairs::HeldPairs;
use crate::error::{Error, Kind, Result, exit};
use crate::laptop::fill::{self, FilledLaptop, PreparedLaptop, Wanted};
use crate::laptop::home::{FolderContent, Home, InheritedSettings, blocking};
use crate::laptop::summary;
use crate::report::{RunOutcome, run_table};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Days when none are given: a month, loaded in about a minute.
const DAYS: u32 = 30;

const EXAMPLES: &str = "\
Columns with `mask = \"hash\" | \"null\" | \"fake\"` in their template are masked
by the tenants' own servers; true values never reach this machine. Without
days, the last 30 are loaded.

Examples:
  dayhaul laptop                             all tenants, until Enter or Ctrl-C
  dayhaul laptop ~/wh --keep --tenant acme   one tenant, kept in a folder
  dayhaul laptop ~/wh --tenant acme          refresh it to the last 30 days
  dayhaul laptop ~/wh --stop                 stop its server (and `--start`)
  dayhaul laptop ~/wh --keep --reset         recreate it, with another salt";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder for the server and the configuration [default: a new one in the temporary folder]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep server and folder when the command ends; run it again to refresh them
    #[arg(long, requires = "dir")]
    keep: bool,
    /// Drop the laptop in DIR and recreate it
    #[arg(long, requires = "dir")]
    reset: bool,
    /// Only start the server of a kept laptop
    #[arg(long, requires = "dir", conflicts_with_all = ["keep", "reset", "stop"])]
    start: bool,
    /// Only stop the server of a kept laptop
    #[arg(long, requires = "dir", conflicts_with_all = ["keep", "reset"])]
    stop: bool,
    /// Windows loaded at once [default: `load.jobs`]; `load.per_server` limits those of one source server
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    selection: SelectionArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    if (args.start || args.stop)
        && let Some(dir) = args.dir.clone()
    {
        return start_or_stop(dir, args.start, context).await;
    }
    let cancel = context.cancel();
    let wanted = tokio::select! {
        wanted = read_wanted(&args, context) => wanted?,
        () = cancel.cancelled() => return Err(interrupted()),
    };
    let mut home = {
        let (dir, keep, reset) = (args.dir.clone(), args.keep, args.reset);
        let inherited = InheritedSettings::of(&wanted.settings);
        blocking(move || Home::open_or_create(dir, keep, reset, &inherited)).await?
    };
    let loaded = match fill_home(&mut home, &wanted, &cancel, context).await {
        Ok(loaded) => loaded,
        Err(error) => {
            // A laptop that existed before is kept; one that this command created is removed.
            home.leave().await;
            return Err(error);
        }
    };
    show(&home, &loaded, context);
    let outcome = RunOutcome::of(&loaded.report);
    if !home.is_kept() && matches!(outcome, RunOutcome::Done | RunOutcome::Failed) {
        wait_for_enter(&cancel).await;
    }
    home.leave().await;
    Ok(outcome.exit_code())
}

fn show(home: &Home, loaded: &FilledLaptop, context: &Context) {
    if let Some(masked) = summary::masked(&loaded.pairs) {
        context.print(masked);
    }
    for template in summary::without_masks(&loaded.pairs) {
        context.warn(format!(
            "template `{template}` masks no column; its true values are on this laptop"
        ));
    }
    context.print(summary::how_to_use(home));
    context.print_json(&summary::LaptopJson::new(home, loaded));
}

/// Prepares the catalog, then loads the days. From then on, a laptop that the user wants to keep is kept.
async fn fill_home(
    home: &mut Home,
    wanted: &Wanted,
    cancel: &CancellationToken,
    context: &Context,
) -> Result<FilledLaptop> {
    let ready = tokio::select! {
        ready = fill::prepare(home, wanted) => ready?,
        () = cancel.cancelled() => return Err(interrupted()),
    };
    home.keep_if_wanted();
    let loaded = context
        .with_progress(ready.verb(), |progress| {
            ready.load(progress, cancel.clone())
        })
        .await?;
    if let Some(table) = run_table::render(&loaded.report) {
        context.print(table);
    }
    context.failures(&loaded.report, HeldPairs::REPORT);
    let all_tried = loaded.report.locked_pairs == 0 && !loaded.report.interrupted;
    if ready.may_fold() && all_tried {
        fold(&ready, cancel, context).await;
    }
    Ok(loaded)
}

/// Folds what has closed. When that fails, the next refresh does it.
async fn fold(ready: &PreparedLaptop, cancel: &CancellationToken, context: &Context) {
    let folded = context
        .with_progress("fold", |progress| ready.fold(progress, cancel.clone()))
        .await;
    match folded {
        Ok(report) => context.failures_of_fold(&report, HeldPairs::REPORT),
        Err(error) => context.warn(format!("failed to fold closed days: {error}")),
    }
}

/// Reads tenants and templates in the warehouse; nothing is written there.
async fn read_wanted(args: &Args, context: &Context) -> Result<Wanted> {
    let mut settings = context.settings()?;
    settings.refuse_masked("tenants and templates come from a true warehouse's catalog")?;
    if let Some(jobs) = args.jobs {
        settings.load.jobs = jobs.get();
    }
    let mut selection = args.selection.clone();
    if selection.resolve()?.days.is_none() {
        selection.last = Some(DAYS);
    }
    let (resolved, days) = selection.resolve_with_days()?;
    if let Some(note) = &resolved.note {
        context.note(note);
    }
    let catalog = Catalog::open(&settings).await?;
    catalog
        .session()
        .batch("SET default_transaction_read_only = on")
        .await?;
    let pairs = enabled_pairs(&catalog, &resolved.selection).await?;
    Ok(Wanted {
        settings,
        today: resolved.today,
        days,
        pairs,
    })
}

/// Starts or stops the server of a kept laptop.
async fn start_or_stop(dir: PathBuf, start: bool, context: &Context) -> Result<u8> {
    let shown = dir.display().to_string();
    let (home, stopped) = blocking(move || {
        let FolderContent::Laptop(mut home) = Home::find(&dir)? else {
            return Err(
                Error::refused(format!("there is no laptop in `{}`", dir.display())).with_hint(
                    format!("create one with `dayhaul laptop {} --keep`", dir.display()),
                ),
            );
        };
        let stopped = if start {
            home.start()?;
            false
        } else {
            home.stop()?
        };
        Ok((home, stopped))
    })
    .await?;
    context.print(if start {
        summary::how_to_use(&home)
    } else if stopped {
        format!("stopped; start it again with `dayhaul laptop {shown} --start`")
    } else {
        "it was not running".to_owned()
    });
    context.print_json(&summary::ServerStateJson::new(&home, start));
    Ok(exit::OK)
}

/// Waits for a line or the end of standard input, or for Ctrl-C or SIGTERM.
async fn wait_for_enter(cancel: &CancellationToken) {
    let (send, entered) = tokio::sync::oneshot::channel();
    // A separate thread: the runtime would wait for one of its own that reads standard input.
    let reader = std::thread::Builder::new().spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        let _ = send.send(());
    });
    tokio::select! {
        _ = entered, if reader.is_ok() => {}
        () = cancel.cancelled() => {}
    }
}

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted")
}
