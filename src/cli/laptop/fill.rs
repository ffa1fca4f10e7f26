//! What comes onto a laptop: the catalog's tenants and templates, then their days.

use super::Wanted;
use super::home::{DATABASE, Home};
use crate::catalog::ledger::units;
use crate::catalog::registry::{masked, templates, tenants};
use crate::catalog::setup::init::{Passwords, Wish, plan};
use crate::catalog::{self, Catalog, Pair, Selection, warehouse_access};
use crate::cli::Context;
use crate::config::Settings;
use crate::engine::fold::{Fold, FoldTarget, fold};
use crate::engine::report::run::RunReport;
use crate::engine::run::request::Request;
use crate::engine::run::{Options, run};
use crate::engine::window::landing::To;
use crate::error::{Error, Kind, Result};
use crate::pg::{self, Access, Purpose, Session, Url};
use crate::report::{Progress, summary};
use crate::schema::Column;
use crate::template::Template;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A fold waits no longer for somebody's open transaction: the next refresh does it.
const BARRIER: Duration = Duration::from_secs(2);

const ANEW: &str = "make the laptop anew with `--reset`: it then holds nothing of before";

/// A laptop whose catalog is ready for its days.
pub struct Ready {
    settings: Settings,
    /// As the laptop's catalog has them.
    pairs: Vec<Pair>,
    /// Whether the ledger has days already.
    has_days: bool,
}

/// How the days came.
pub struct Loaded {
    /// What was run: `backfill` or `refresh`.
    pub command: &'static str,
    pub pairs: Vec<Pair>,
    pub report: RunReport,
}

/// Makes the database and its catalog, and brings tenants and templates into it.
///
/// # Errors
/// A template has other columns or masks than the days that are there; the laptop's server.
pub async fn make_ready(home: &Home, wanted: &Wanted) -> Result<Ready> {
    let place = |e: Error| e.at("laptop");
    let mut settings = home.settings()?;
    settings.load = wanted.settings.load.clone();
    settings.load.barrier_timeout = BARRIER;
    make_warehouse(home, &settings).await.map_err(place)?;
    let catalog = Catalog::open(&settings).await.map_err(place)?;
    let copied = catalog.transaction(async |session| copy(session, &wanted.pairs).await);
    copied.await.map_err(place)?;
    let selection = Selection {
        tenants: wanted.pairs.iter().map(|p| p.tenant.name.clone()).collect(),
        templates: wanted
            .pairs
            .iter()
            .map(|p| p.template.name.clone())
            .collect(),
    };
    let mut pairs = catalog::pairs(catalog.session(), &selection)
        .await
        .map_err(place)?;
    pairs.retain(|pair| wanted.has(pair));
    let mut has_days = false;
    for pair in &pairs {
        let days =
            units::loaded_versions(catalog.session(), &pair.tenant.name, &pair.template.name);
        has_days |= !days.await.map_err(place)?.is_empty();
    }
    Ok(Ready {
        settings,
        pairs,
        has_days,
    })
}

impl Wanted {
    fn has(&self, pair: &Pair) -> bool {
        let same =
            |p: &Pair| p.tenant.name == pair.tenant.name && p.template.name == pair.template.name;
        self.pairs.iter().any(same)
    }
}

/// Loads the days that are not there, and compares the others with their sources.
///
/// # Errors
/// The laptop's server.
pub async fn load(
    ready: Ready,
    wanted: &Wanted,
    cancel: &CancellationToken,
    context: &Context,
) -> Result<Loaded> {
    let Ready {
        settings,
        pairs,
        has_days,
    } = ready;
    let days = wanted.days;
    let ask = match has_days {
        true => Request::Refresh { days },
        false => Request::Backfill {
            days,
            reload: false,
        },
    };
    let command = ask.command();
    let options = Options {
        wait: false,
        today: wanted.resolved.today,
        to: To::Warehouse,
    };
    let progress = Arc::new(Progress::new(context.progress(), ask.verb()));
    let watched = progress.clone();
    let result = run(
        &settings,
        pairs.clone(),
        ask,
        options,
        watched,
        cancel.clone(),
    )
    .await;
    progress.finish();
    let report = result?;
    if let Some(table) = summary::render(&report) {
        context.print(table);
    }
    context.failures(&report);
    if has_days && !report.interrupted {
        close(&settings, &pairs, options, cancel, context).await;
    }
    Ok(Loaded {
        command,
        pairs,
        report,
    })
}

/// Folds what has closed since, so that a laptop of many refreshes has no more tables than others. What does not work out
/// is for the next refresh.
async fn close(
    settings: &Settings,
    pairs: &[Pair],
    options: Options,
    cancel: &CancellationToken,
    context: &Context,
) {
    let asked = Fold {
        target: FoldTarget::OpenDays,
        today: options.today,
        wait: false,
    };
    let progress = Arc::new(Progress::new(context.progress(), "fold"));
    let folded = fold(
        settings,
        pairs.to_vec(),
        &asked,
        progress.clone(),
        cancel.clone(),
    )
    .await;
    progress.finish();
    match folded {
        Ok(report) => context.causes(&report.failures),
        Err(error) => context.warn(format!("closed days were not folded: {error}")),
    }
}

/// The database, marked as one of masked values, and the catalog in it.
async fn make_warehouse(home: &Home, settings: &Settings) -> Result<()> {
    let access = warehouse_access(settings).await?;
    let server = Access {
        url: Url::parse(&settings.warehouse.url.replacen(
            &format!("/{DATABASE}?"),
            "/postgres?",
            1,
        ))?,
        password: access.password.clone(),
    };
    let server = pg::connect(&server, Purpose::Warehouse).await?;
    let there: bool = server
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)",
            &[&DATABASE],
        )
        .await?
        .get(0);
    if !there {
        server.batch(&format!("CREATE DATABASE {DATABASE}")).await?;
        masked::mark(&server, DATABASE, home.salt()).await?;
    }
    let session = pg::connect(&access, Purpose::Warehouse).await?;
    masked::check(&session, settings.masks.as_ref()).await?;
    let wish = Wish {
        owner: settings.warehouse.owner_role.clone(),
        reader: settings.warehouse.reader_role.clone(),
        owner_password: false,
        reader_password: false,
    };
    let plan = plan(&session, &wish).await?;
    if !plan.is_empty() {
        plan.carry_out(&session, &wish, &Passwords::default())
            .await?;
    }
    Ok(())
}

/// Brings pairs into the laptop's catalog, with their tenants and templates. Of passwords only references come.
async fn copy(session: &Session, pairs: &[Pair]) -> Result<()> {
    let there = templates::list(session).await?;
    for pair in pairs {
        let (tenant, template) = (&pair.tenant, &pair.template);
        let place = |e: Error| e.at(format!("template `{}`", template.name));
        if let Some(old) = there.iter().find(|old| old.template.name == template.name) {
            refuse_other_masks(&old.template, template).map_err(place)?;
        }
        templates::load(session, template)
            .await
            .map_err(|e| match e.kind() {
                Kind::Refused => e.with_hint(ANEW),
                _ => e,
            })?;
        tenants::put(session, tenant)
            .await
            .map_err(|e| match e.kind() {
                Kind::Refused => e.with_hint(ANEW),
                _ => e,
            })?;
        tenants::enable(
            session,
            &tenant.name,
            std::slice::from_ref(&template.name),
            None,
        )
        .await?;
    }
    Ok(())
}

/// Days that were loaded under other masks would stay among the new ones, true values perhaps. (Other columns are refused
/// by the catalog itself.)
fn refuse_other_masks(old: &Template, new: &Template) -> Result<()> {
    let same = |new: &Column| {
        let of_that_name = old.columns.iter().find(|old| old.name == new.name);
        of_that_name.is_none_or(|old| old.mask == new.mask)
    };
    match new.columns.iter().find(|column| !same(column)) {
        None => Ok(()),
        Some(column) => Err(Error::refused(format!(
            "the mask of column `{}` is another than the one that this laptop's days were loaded with",
            column.name
        ))
        .with_hint(ANEW)),
    }
}
