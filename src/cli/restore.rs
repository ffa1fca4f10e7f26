//! `dayhaul restore`: loads days from their Parquet files.

mod into;
mod reset;
mod snapshot;

use super::context::Context;
use super::landing_root::{self, DayOrRoot};
use super::run_command::{RunArgs, RunCommand};
use super::selection::{PairArgs, SelectionArgs, Until};
use super::shard::ShardArgs;
use super::today::TodayArgs;
use crate::catalog::registry::{pairs, templates, tenants};
use crate::catalog::snapshot::Snapshot;
use crate::catalog::{Catalog, Pair, Selection};
use crate::config::Settings;
use crate::engine::restore::adopt::{Adoption, adopt};
use crate::engine::restore::{Remarks, Restoring, check_readable, find, urls};
use crate::engine::run::request::Request;
use crate::engine::window::landing::To;
use crate::error::{Error, Result, exit};
use crate::landing::Landing;
use crate::report::numbers::counted;
use crate::unit::Day;
use serde_json::json;
use std::sync::Arc;

const EXAMPLES: &str = "\
Restores the days that the ledger does not have; without days, all that have
files. A `--from` of the form YYYY-MM-DD is a day; anything with a slash or a
scheme is a folder or URL (a folder that looks like a day: ./2024-01-02). Each
day comes from the first of them that has its complete file.

A warehouse without tenants gets them from the newest snapshot there, otherwise
from the files, which do not know where the tenants' databases are. A restore
never contacts a tenant.

If a column lands as `double`, files may hold rounded values: such days fail
unless you add `--allow-lossy`. Days whose files are newer than the snapshot are
listed; `--exact` refuses them.

Examples:
  dayhaul restore
  dayhaul restore --catalog-only            then load with `dayhaul sync`
  dayhaul restore --from s3://lake/prod --last 30
  dayhaul restore --from ./lake --into postgres://localhost/dev --reset";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pairs: PairArgs,
    /// First UTC day, YYYY-MM-DD; or a folder or URL to restore from (repeatable, the preferred one first) [default URL:
    /// `landing.url`]
    #[arg(long, value_name = "D|URL", help_heading = "Selection")]
    from: Vec<DayOrRoot>,
    /// Last UTC day, inclusive [default: yesterday]
    #[arg(long, value_name = "D", help_heading = "Selection")]
    to: Option<Day>,
    /// The last N complete UTC days, up to yesterday
    #[arg(long, value_name = "N", help_heading = "Selection")]
    last: Option<u32>,
    /// All days of a year; of the current year, those up to yesterday
    #[arg(long, value_name = "Y", help_heading = "Selection")]
    year: Option<i32>,
    #[command(flatten, next_help_heading = "Selection")]
    today: TodayArgs,
    /// Load into this database instead of the configured warehouse; it is prepared as by `init` (URL without a password)
    #[arg(long, value_name = "URL", help_heading = "Where rows go")]
    into: Option<String>,
    /// Where the password for `--into` is: env:NAME, file:PATH, cmd:COMMAND or pgpass
    #[arg(
        long,
        value_name = "REF",
        requires = "into",
        help_heading = "Where rows go"
    )]
    into_password: Option<String>,
    /// Rebuild the catalog from this snapshot: a file, a URL, or the newest below a folder or URL [default: the newest below
    /// `--from`]
    #[arg(
        long,
        value_name = "FILE|URL",
        conflicts_with = "no_snapshot",
        help_heading = "Options"
    )]
    snapshot: Option<String>,
    /// Ignore snapshots; rebuild the catalog from the files' footers
    #[arg(long, help_heading = "Options")]
    no_snapshot: bool,
    /// Bring back tenants, templates and first days from the snapshot, and no rows
    #[arg(
        long,
        conflicts_with_all = ["no_snapshot", "reload", "exact", "allow_lossy"],
        help_heading = "Options"
    )]
    catalog_only: bool,
    /// Refuse files that were written after the snapshot and have other rows, and leave out days that it does not have
    #[arg(long, conflicts_with = "no_snapshot", help_heading = "Options")]
    exact: bool,
    /// Take files that hold rounded values, because a column lands as `double`
    #[arg(long, help_heading = "Options")]
    allow_lossy: bool,
    /// Load days again that the ledger already has
    #[arg(long, help_heading = "Options")]
    reload: bool,
    /// First drop everything the catalog owns; only in a warehouse that was restored
    #[arg(long, help_heading = "Options")]
    reset: bool,
    /// Do not ask for confirmation of `--reset`
    #[arg(long, requires = "reset", help_heading = "Options")]
    yes: bool,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let resolved = args.selection()?.resolve()?;
    let settings = args.run.settings(args.settings(context)?);
    settings.refuse_masked("files hold true values")?;
    let places = args.places(&settings)?;
    check_readable(&places).await?;
    let snapshot = args.snapshot(&places, context).await?;
    let found = find(&places, &resolved.selection.templates, resolved.days).await?;
    if found.is_empty() && !args.catalog_only {
        return Err(nothing_found(&places));
    }
    warn_of_foreign(&found.foreign, context);
    let catalog = args.open(&settings, context).await?;
    if args.reset && !reset::reset(&catalog, &settings, args.yes, context).await? {
        return Ok(exit::OK);
    }
    let adoption = Adoption {
        places: &places,
        found: &found,
        snapshot: snapshot.as_ref(),
        selection: &resolved.selection,
        days: resolved.days,
    };
    let adopted = adopt(&catalog, &adoption).await?;
    for note in &adopted.notes {
        context.warn(note);
    }
    if args.catalog_only {
        return catalog_is_back(&catalog, context).await;
    }
    let restoring = Restoring {
        home: home(&places, &settings),
        places,
        found,
        snapshot,
        days: resolved.days,
        reload: args.reload,
        allow_lossy: args.allow_lossy,
        exact: args.exact,
        remarks: Remarks::default(),
        record: adopted.record,
    };
    let pairs = concerned(&catalog, &resolved.selection, &restoring).await?;
    drop(catalog);
    let command = RunCommand {
        ask: Request::Restore(Arc::new(restoring)),
        resolved,
        shard: ShardArgs::default(),
        to: None,
        args: args.run,
    };
    command
        .run_pairs(&settings, pairs, To::Warehouse, context)
        .await
}

impl Args {
    /// The selection, with `--from` as its day.
    fn selection(&self) -> Result<SelectionArgs> {
        let mut days = self.from.iter().filter_map(|from| match from {
            DayOrRoot::Day(day) => Some(*day),
            DayOrRoot::Root(_) => None,
        });
        let from = days.next();
        if days.next().is_some() {
            return Err(
                Error::usage("`--from` is given two days").with_hint("the last day is `--to D`")
            );
        }
        Ok(SelectionArgs {
            pairs: self.pairs.clone(),
            from,
            to: self.to.into_iter().map(Until::Day).collect(),
            last: self.last,
            year: self.year,
            today: self.today,
        })
    }

    fn settings(&self, context: &Context) -> Result<Settings> {
        match &self.into {
            Some(into) => into::settings(into, self.into_password.as_deref(), context),
            None => context.settings(),
        }
    }

    /// The landing roots to restore from, the preferred one first.
    fn places(&self, settings: &Settings) -> Result<Vec<Landing>> {
        let named = self.from.iter().filter_map(|from| match from {
            DayOrRoot::Root(text) => Some(text.as_str()),
            DayOrRoot::Day(_) => None,
        });
        let mut places: Vec<Landing> = named.map(landing_root::open).collect::<Result<_>>()?;
        if places.is_empty() {
            places.extend(landing_root::configured(settings)?);
        }
        if places.is_empty() {
            return Err(Error::usage("no landing URL is configured")
                .with_hint("add `--from FOLDER` or `--from URL`, or set `url` under `[landing]`"));
        }
        Ok(places)
    }

    async fn snapshot(&self, places: &[Landing], context: &Context) -> Result<Option<Snapshot>> {
        if self.no_snapshot {
            return Ok(None);
        }
        let chosen = snapshot::choose(self.snapshot.as_deref(), places, context).await?;
        if chosen.is_none() && (self.catalog_only || self.exact) {
            return Err(snapshot::none(places));
        }
        Ok(chosen)
    }

    /// The catalog of the warehouse. The database of `--into` is prepared first, if it is not yet.
    async fn open(&self, settings: &Settings, context: &Context) -> Result<Catalog> {
        if let Some(into) = &self.into {
            into::prepare(into, settings, context).await?;
        }
        Catalog::open(settings).await
    }
}

/// Which of the roots the warehouse itself lands in.
fn home(places: &[Landing], settings: &Settings) -> Option<usize> {
    let landing = landing_root::configured(settings).ok()??;
    places.iter().position(|place| place.url() == landing.url())
}

/// The pairs that have something to restore.
async fn concerned(
    catalog: &Catalog,
    selection: &Selection,
    restoring: &Restoring,
) -> Result<Vec<Pair>> {
    let mut concerned = Vec::new();
    for pair in pairs::all(catalog.session(), selection).await? {
        if restoring.concerns(&pair)? {
            concerned.push(pair);
        }
    }
    if concerned.is_empty() {
        return Err(nothing_found(&restoring.places));
    }
    Ok(concerned)
}

fn nothing_found(places: &[Landing]) -> Error {
    Error::refused(format!(
        "there are no files of this selection under {}",
        urls(places)
    ))
    .with_hint("a day's file is <root>/<template>/tenant=<schema>/date=YYYY-MM-DD/data.parquet")
}

async fn catalog_is_back(catalog: &Catalog, context: &Context) -> Result<u8> {
    let session = catalog.session();
    let tenants = tenants::list(session).await?.len() as u64;
    let templates = templates::list(session).await?.len() as u64;
    let pairs = pairs::all(session, &Selection::default()).await?.len();
    context.print(format!(
        "the catalog has {} and {}; `dayhaul restore` brings back the rows from files, `dayhaul sync` from the sources",
        counted(tenants, "tenant"),
        counted(templates, "template")
    ));
    context.print_json(&json!({
        "schema": "dayhaul.restore.catalog/1",
        "tenants": tenants,
        "templates": templates,
        "pairs": pairs,
    }));
    Ok(exit::OK)
}

/// Files among the days that are not days are left out.
fn warn_of_foreign(foreign: &[String], context: &Context) {
    if let Some(first) = foreign.first() {
        let more = match foreign.len() - 1 {
            0 => String::new(),
            n => format!(" and {}", counted(n as u64, "other file")),
        };
        context.warn(format!("`{first}`{more}: not Dayhaul's, left out"));
    }
}
