//! `dayhaul laptop`: the latest days of some tenants on a private server, masked on the way.

mod fill;
mod home;
mod told;

use super::context::Context;
use super::selection::{Resolved, SelectionArgs};
use super::signals::cancelled_by_signals;
use crate::catalog::{self, Catalog, Pair};
use crate::config::Settings;
use crate::error::{Error, Kind, Result, exit};
use crate::report::RunOutcome;
use crate::unit::Window;
use fill::Loaded;
use home::{Found, Home, blocking};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Days when none are named: enough to see a month, little enough for a minute.
const DAYS: u32 = 30;

const EXAMPLES: &str = "\
Columns that a template marks `mask = \"hash\" | \"null\" | \"fake\"` are masked by the tenants' own
servers: their true values never come here. Without days, it is `--last 30`.

Examples:
  dayhaul laptop                               all tenants, until Enter or Ctrl-C; then everything is gone
  dayhaul laptop ~/wh --keep --tenant acme     one tenant, in a folder, to stay
  dayhaul laptop ~/wh --tenant acme            the same again: brought up to the newest 30 days
  dayhaul laptop ~/wh --stop                   stop its server; `--start` starts it again
  dayhaul laptop ~/wh --keep --reset           make it anew, with another salt";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder of the laptop's server and configuration [default: a new one among the temporary files]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Let server and folder stay when the command ends; run again, it refreshes them
    #[arg(long, requires = "dir")]
    keep: bool,
    /// Throw away what is in DIR and make it anew
    #[arg(long, requires = "dir")]
    reset: bool,
    /// Only start the server of a laptop that was kept
    #[arg(long, requires = "dir", conflicts_with_all = ["keep", "reset", "stop"])]
    start: bool,
    /// Only stop the server of a laptop that was kept
    #[arg(long, requires = "dir", conflicts_with_all = ["keep", "reset"])]
    stop: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Windows loaded at once [default: `load.jobs`]; `load.per_server` limits those of one source server
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

/// What is wanted on the laptop, as the warehouse's catalog has it.
struct Wanted {
    /// Of the warehouse.
    settings: Settings,
    resolved: Resolved,
    days: Window,
    pairs: Vec<Pair>,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    if let (true, Some(dir)) = (args.start || args.stop, args.dir.clone()) {
        return switch(dir, args.start, context).await;
    }
    let cancel = cancelled_by_signals();
    let wanted = tokio::select! {
        wanted = Wanted::read(&args, context) => wanted?,
        () = cancel.cancelled() => return Err(interrupted()),
    };
    let mut home = {
        let (dir, keep, reset) = (args.dir.clone(), args.keep, args.reset);
        let wanted = home::Wishes::of(&wanted.settings);
        blocking(move || Home::enter(dir, keep, reset, &wanted)).await?
    };
    let loaded = match settle_in(&mut home, &wanted, &cancel, context).await {
        Ok(loaded) => loaded,
        Err(error) => {
            // What was there before stays; what this command made goes.
            home.leave().await;
            return Err(error);
        }
    };
    if let Some(masked) = told::masked(&loaded.pairs) {
        context.print(masked);
    }
    for template in told::without_masks(&loaded.pairs) {
        context.warn(format!(
            "template `{template}` masks no column: its true values are on this laptop"
        ));
    }
    context.print(told::how_to_use(&home));
    context.print_json(&told::Laptop::new(&home, &loaded));
    let outcome = RunOutcome::of(&loaded.report);
    if !home.is_kept() && matches!(outcome, RunOutcome::Done | RunOutcome::Failed) {
        wait_for_the_end(&cancel).await;
    }
    home.leave().await;
    Ok(outcome.exit_code())
}

/// Catalog, then days. From the days on, what was to be kept stays whatever happens.
async fn settle_in(
    home: &mut Home,
    wanted: &Wanted,
    cancel: &CancellationToken,
    context: &Context,
) -> Result<Loaded> {
    let ready = tokio::select! {
        ready = fill::make_ready(home, wanted) => ready?,
        () = cancel.cancelled() => return Err(interrupted()),
    };
    home.worth_keeping();
    fill::load(ready, wanted, cancel, context).await
}

impl Wanted {
    /// Reads tenants and templates in the warehouse; nothing is written there.
    async fn read(args: &Args, context: &Context) -> Result<Wanted> {
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
        let pairs = catalog::pairs(catalog.session(), &resolved.selection).await?;
        if pairs.is_empty() {
            return Err(Error::refused("no template is enabled for any tenant")
                .with_hint("enable one with `dayhaul tenant enable T --template X`"));
        }
        Ok(Wanted {
            settings,
            resolved,
            days,
            pairs,
        })
    }
}

/// Starts or stops the server of a laptop that was kept.
async fn switch(dir: PathBuf, start: bool, context: &Context) -> Result<u8> {
    let shown = dir.display().to_string();
    let (home, ran) = blocking(move || {
        let Found::Laptop(mut home) = Home::find(&dir)? else {
            return Err(
                Error::refused(format!("there is no laptop in `{}`", dir.display()))
                    .with_hint("make one with `dayhaul laptop DIR --keep`"),
            );
        };
        let ran = match start {
            true => home.start().map(|()| true)?,
            false => home.stop()?,
        };
        Ok((home, ran))
    })
    .await?;
    context.print(match (start, ran) {
        (true, _) => told::how_to_use(&home),
        (false, true) => format!("stopped; `dayhaul laptop {shown} --start` starts it again"),
        (false, false) => "it was not running".to_owned(),
    });
    context.print_json(&told::Switched::new(&home, start));
    Ok(exit::OK)
}

/// Until a line or the end of standard input, Ctrl-C or SIGTERM.
async fn wait_for_the_end(cancel: &CancellationToken) {
    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread of its own: the runtime would wait for one of its own that reads standard input.
    let reader = std::thread::Builder::new().spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        let _ = tell.send(());
    });
    tokio::select! {
        _ = told, if reader.is_ok() => {}
        () = cancel.cancelled() => {}
    }
}

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted")
}
