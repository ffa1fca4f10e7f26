//! `dayhaul restore`: days from their Parquet files.

use super::confirm::confirm;
use super::context::Context;
use super::load::{RunArgs, watched};
use super::root::{self, From};
use super::selection::{SelectionArgs, Until};
use super::signals::cancelled_by_signals;
use crate::catalog::registry::pairs;
use crate::catalog::snapshot::{Snapshot, restored};
use crate::catalog::{Catalog, Pair, Selection, warehouse_access};
use crate::config::Settings;
use crate::engine::restore::adopt::{Adoption, adopt};
use crate::engine::restore::{Restoring, check_readable, find, snapshots};
use crate::engine::run::Options;
use crate::engine::run::request::Request;
use crate::engine::window::landing::To;
use crate::error::{At, Error, Kind, Result, exit};
use crate::landing::Landing;
use crate::pg::Url;
use crate::report::numbers::counted;
use crate::unit::{Day, TemplateName, TenantName};
use crate::warehouse;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Restores the days that the ledger does not have; without days, all that lie there. --from is told apart by its form: a day \
is YYYY-MM-DD, anything with a slash or a scheme is a place (a folder named like a day: ./2024-01-02). Each day comes from \
the first place whose file of it is whole.

A warehouse without tenants learns them from the newest snapshot that lies there, else from the files themselves; these do \
not know where the tenants' databases are.")]
pub struct Args {
    /// Only this tenant (repeatable) [default: all]
    #[arg(long = "tenant", value_name = "T", help_heading = "Selection")]
    tenants: Vec<TenantName>,
    /// Only this template (repeatable) [default: all]
    #[arg(long = "template", value_name = "X", help_heading = "Selection")]
    templates: Vec<TemplateName>,
    /// First UTC day, YYYY-MM-DD; or a folder or URL to restore from (repeatable, the preferred first) [default of the place:
    /// `landing.url`]
    #[arg(long, value_name = "D|URL", help_heading = "Selection")]
    from: Vec<From>,
    /// Last UTC day, inclusive [default: yesterday]
    #[arg(long, value_name = "D", help_heading = "Selection")]
    to: Option<Day>,
    /// The N complete UTC days that end yesterday
    #[arg(long, value_name = "N", help_heading = "Selection")]
    last: Option<u32>,
    /// All days of a year; of the current one, those up to yesterday
    #[arg(long, value_name = "Y", help_heading = "Selection")]
    year: Option<i32>,
    /// Take this day for today
    #[arg(long, value_name = "D", hide = true)]
    today: Option<Day>,
    /// Into this database instead of the configured warehouse, without a password; it is prepared as by `init`
    #[arg(long, value_name = "URL")]
    into: Option<String>,
    /// Where the password for `--into` is: env:NAME, file:PATH, cmd:COMMAND or pgpass
    #[arg(long, value_name = "REF", requires = "into")]
    into_password: Option<String>,
    /// Go by this snapshot: a file, a place's newest, or one by its URL [default: the newest of the places]
    #[arg(long, value_name = "FILE|URL", conflicts_with = "no_snapshot")]
    snapshot: Option<String>,
    /// Go by the files alone
    #[arg(long)]
    no_snapshot: bool,
    /// Load days again that the ledger has already
    #[arg(long)]
    reload: bool,
    /// First drop all that the catalog owns; only of a warehouse that was restored
    #[arg(long)]
    reset: bool,
    /// Do not ask before `--reset`
    #[arg(long, requires = "reset")]
    yes: bool,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let resolved = args.selection()?.resolve()?;
    let mut settings = args.settings(context)?;
    settings.refuse_masked("files hold true values")?;
    if let Some(jobs) = args.run.jobs {
        settings.load.jobs = jobs.get();
    }
    let places = args.places(&settings)?;
    check_readable(&places).await?;
    let snapshot = args.snapshot(&places, context).await?;
    let found = find(&places, &resolved.selection.templates, resolved.days).await?;
    if found.is_empty() {
        return Err(nothing_found(&places));
    }
    say_foreign(&found.foreign, context);
    let catalog = args.open(&settings, context).await?;
    if args.reset && !reset(&catalog, &settings, args.yes, context).await? {
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
    let restoring = Restoring {
        home: home(&places, &settings),
        places,
        found,
        snapshot,
        days: resolved.days,
        reload: args.reload,
        record: adopted.record,
    };
    let pairs = concerned(&catalog, &resolved.selection, &restoring).await?;
    drop(catalog);
    let options = Options {
        wait: args.run.wait,
        today: resolved.today,
        to: To::Warehouse,
    };
    let ask = Request::Restore(Arc::new(restoring));
    let cancel = cancelled_by_signals();
    let if_locked = args.run.if_locked;
    watched(&settings, (pairs, ask), options, if_locked, cancel, context).await
}

impl Args {
    /// The selection, with `--from` as its day.
    fn selection(&self) -> Result<SelectionArgs> {
        let mut days = self.from.iter().filter_map(|from| match from {
            From::Day(day) => Some(*day),
            From::Place(_) => None,
        });
        let from = days.next();
        if days.next().is_some() {
            return Err(Error::usage("`--from` names two days"));
        }
        Ok(SelectionArgs {
            tenants: self.tenants.clone(),
            templates: self.templates.clone(),
            from,
            to: self.to.into_iter().map(Until::Day).collect(),
            last: self.last,
            year: self.year,
            today: self.today,
        })
    }

    fn settings(&self, context: &Context) -> Result<Settings> {
        let Some(into) = &self.into else {
            return context.settings();
        };
        let url = Url::parse(into).map_err(|e| e.at("--into"))?;
        if into.trim().is_empty() {
            return Err(Error::usage("`--into` is empty"));
        }
        if url.has_password() {
            return Err(Error::refused(
                "`--into` holds a password, which others on this host can see",
            )
            .with_hint(format!(
                "use `--into '{}' --into-password env:NAME` (or file:, cmd:, pgpass)",
                url.redacted()
            )));
        }
        context.settings_with_warehouse(into, self.into_password.as_deref())
    }

    /// The places to restore from, the preferred first.
    fn places(&self, settings: &Settings) -> Result<Vec<Landing>> {
        let named = self.from.iter().filter_map(|from| match from {
            From::Place(text) => Some(text.as_str()),
            From::Day(_) => None,
        });
        let mut places: Vec<Landing> = named.map(root::open).collect::<Result<_>>()?;
        if places.is_empty() {
            places.extend(root::configured(settings)?);
        }
        if places.is_empty() {
            return Err(Error::usage("nobody said where the files lie")
                .with_hint("add `--from FOLDER` or `--from URL`, or set `url` under `[landing]`"));
        }
        Ok(places)
    }

    /// The snapshot to go by: the one that is named, else the newest of the first place that has one.
    async fn snapshot(&self, places: &[Landing], context: &Context) -> Result<Option<Snapshot>> {
        if self.no_snapshot {
            return Ok(None);
        }
        let read = match &self.snapshot {
            Some(named) => Some(named_snapshot(named).await.at(|| "--snapshot".to_owned())?),
            None => {
                let mut newest = None;
                for place in places {
                    newest = snapshots::read(place, None).await?;
                    if newest.is_some() {
                        break;
                    }
                }
                newest
            }
        };
        let Some((url, snapshot)) = read else {
            return Ok(None);
        };
        context.note(format!(
            "going by snapshot {} of {}: {url}",
            snapshot.id, snapshot.taken_at
        ));
        Ok(Some(snapshot))
    }

    /// The catalog of the warehouse. A database that was named on the command line is prepared, if it was not yet.
    async fn open(&self, settings: &Settings, context: &Context) -> Result<Catalog> {
        if let Some(into) = &self.into {
            super::init::if_needed(settings, context)
                .await
                .map_err(|e| match e.sqlstate() {
                    Some("3D000") => e.with_hint(format!(
                        "make it first: createdb --encoding=UTF8 --template=template0 --maintenance-db='{}'",
                        into
                    )),
                    _ => e,
                })?;
        }
        Catalog::open(settings).await
    }
}

/// A snapshot by file or URL.
async fn named_snapshot(named: &str) -> Result<(String, Snapshot)> {
    if !named.contains("://") && Path::new(named).is_file() {
        let bytes = std::fs::read(named).map_err(|e| {
            Error::new(Kind::Io, format!("`{named}` cannot be read")).with_source(e)
        })?;
        let snapshot = Snapshot::parse(&bytes).at(|| format!("`{named}`"))?;
        return Ok((named.to_owned(), snapshot));
    }
    let (place, name) = root::snapshot(named)?;
    let read = snapshots::read(&place, name.as_deref()).await?;
    read.ok_or_else(|| {
        Error::refused(format!("no snapshot lies under `{}`", place.url()))
            .with_hint("write one with `dayhaul snapshot`")
    })
}

/// The place among them that the warehouse itself lands in.
fn home(places: &[Landing], settings: &Settings) -> Option<usize> {
    let landing = root::configured(settings).ok()??;
    places.iter().position(|place| place.url() == landing.url())
}

/// The pairs that have something to come back.
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
    let places: Vec<&str> = places.iter().map(Landing::url).collect();
    Error::refused(format!(
        "no file of this selection lies under {}",
        places.join(" or ")
    ))
    .with_hint("a day's file is <place>/<template>/tenant=<schema>/date=YYYY-MM-DD/data.parquet")
}

/// Files that lie among the days and are none are nobody's to restore.
fn say_foreign(foreign: &[String], context: &Context) {
    if let Some(first) = foreign.first() {
        let more = match foreign.len() - 1 {
            0 => String::new(),
            n => format!(" and {}", counted(n as u64, "other file")),
        };
        context.warn(format!("`{first}`{more}: not Dayhaul's, left out"));
    }
}

/// Drops what the catalog owns, after asking. `false`: it was not wished.
async fn reset(
    catalog: &Catalog,
    settings: &Settings,
    yes: bool,
    context: &Context,
) -> Result<bool> {
    let holdings = warehouse::holdings(catalog.session()).await?;
    if holdings.is_empty() {
        return Ok(true);
    }
    let url = Url::parse(&settings.warehouse.url)?;
    if restored::latest(catalog.session()).await?.is_none() {
        return Err(Error::refused(format!(
            "`--reset` is for warehouses that came out of a restore; {} did not",
            url.redacted()
        ))
        .with_hint("name the development database with `--into URL`; to drop a template's tables there is `dayhaul template drop`"));
    }
    let n = |n: i64, what: &str| counted(u64::try_from(n).unwrap_or(0), what);
    if holdings.from_sources > 0 {
        return Err(Error::refused(format!(
            "{} of {} were loaded from the tenants since it was restored: `--reset` drops only what files bring back",
            n(holdings.from_sources, "day"),
            url.redacted()
        ))
        .with_hint("if it is meant all the same, drop the database and make it anew"));
    }
    context.note(format!(
        "in {} this drops {} and {}, {}, {} and {} of the ledger; everything else stays",
        url.redacted(),
        n(holdings.tables, "table"),
        n(holdings.views, "view"),
        n(holdings.tenants, "tenant"),
        n(holdings.templates, "template"),
        n(holdings.units, "day"),
    ));
    if !confirm("start afresh?", yes)? {
        context.note("nothing was dropped");
        return Ok(false);
    }
    let access = warehouse_access(settings).await?;
    let session = warehouse::open_session(&access, catalog.owner()).await?;
    warehouse::reset(&session, settings.load.lock_timeout).await?;
    Ok(true)
}
