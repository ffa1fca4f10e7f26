//! Fills a laptop: the catalog's tenants and templates, then their days.

use super::home::{DATABASE, Home};
use crate::catalog::ledger::units;
use crate::catalog::registry::{masked, templates, tenants};
use crate::catalog::setup::init::{Passwords, Wish, plan};
use crate::catalog::{self, Catalog, Pair, Selection, warehouse_access};
use crate::config::Settings;
use crate::engine::fold::{Fold, FoldReport, FoldTarget, fold};
use crate::engine::locks::held_pairs::HeldPairs;
use crate::engine::report::event::Observer;
use crate::engine::report::run::RunReport;
use crate::engine::run::request::Request;
use crate::engine::run::{Options, run};
use crate::engine::window::landing::To;
use crate::error::{Error, Kind, Result};
use crate::pg::{self, Access, Purpose, Session, Url};
use crate::schema::Column;
use crate::template::Template;
use crate::unit::{Day, Window};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A fold waits no longer than this for an open transaction: the next refresh folds instead.
const BARRIER: Duration = Duration::from_secs(2);

const RECREATE: &str =
    "recreate the laptop with `dayhaul laptop DIR --keep --reset`; its current rows are dropped";

/// What to load, as the warehouse's catalog has it.
pub struct Wanted {
    /// Of the warehouse.
    pub settings: Settings,
    pub today: Day,
    pub days: Window,
    pub pairs: Vec<Pair>,
}

/// A laptop whose catalog is ready for its days.
pub struct PreparedLaptop {
    settings: Settings,
    /// As the laptop's catalog has them.
    pairs: Vec<Pair>,
    /// Whether the ledger already has days.
    has_days: bool,
    today: Day,
    days: Window,
}

/// A laptop with its days.
pub struct FilledLaptop {
    /// The command that loaded them: `backfill` or `refresh`.
    pub command: &'static str,
    pub pairs: Vec<Pair>,
    pub report: RunReport,
}

/// Creates the database and its catalog, and copies tenants and templates into it.
///
/// # Errors
/// A template has other columns or masks than the days already loaded; the laptop's server.
pub async fn prepare(home: &Home, wanted: &Wanted) -> Result<PreparedLaptop> {
    let place = |e: Error| e.at("laptop");
    let mut settings = home.settings()?;
    settings.load = wanted.settings.load.clone();
    settings.load.barrier_timeout = BARRIER;
    create_warehouse(home, &settings).await.map_err(place)?;
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
    Ok(PreparedLaptop {
        settings,
        pairs,
        has_days,
        today: wanted.today,
        days: wanted.days,
    })
}

impl Wanted {
    fn has(&self, pair: &Pair) -> bool {
        let same =
            |p: &Pair| p.tenant.name == pair.tenant.name && p.template.name == pair.template.name;
        self.pairs.iter().any(same)
    }
}

impl PreparedLaptop {
    /// The run that brings it up to date.
    fn ask(&self) -> Request {
        let days = self.days;
        if self.has_days {
            Request::Refresh { days }
        } else {
            Request::Backfill {
                days,
                reload: false,
            }
        }
    }

    /// What the run does to days, for its progress.
    pub fn verb(&self) -> &'static str {
        self.ask().verb()
    }

    /// Loads missing days, and compares the others with their sources.
    ///
    /// # Errors
    /// The laptop's server.
    pub async fn load(
        &self,
        observer: Arc<dyn Observer>,
        cancel: CancellationToken,
    ) -> Result<FilledLaptop> {
        let ask = self.ask();
        let command = ask.command();
        let options = Options {
            held: HeldPairs::REPORT,
            today: self.today,
            to: To::Warehouse,
        };
        let pairs = self.pairs.clone();
        let report = run(&self.settings, pairs, ask, options, observer, cancel).await?;
        Ok(FilledLaptop {
            command,
            pairs: self.pairs.clone(),
            report,
        })
    }

    /// Whether days may have closed since the last refresh.
    pub fn may_fold(&self) -> bool {
        self.has_days
    }

    /// Folds days that have closed, so that many refreshes do not leave more tables than one.
    ///
    /// # Errors
    /// The laptop's server.
    pub async fn fold(
        &self,
        observer: Arc<dyn Observer>,
        cancel: CancellationToken,
    ) -> Result<FoldReport> {
        let request = Fold {
            target: FoldTarget::OpenDays { today: self.today },
            held: HeldPairs::REPORT,
        };
        fold(
            &self.settings,
            self.pairs.clone(),
            &request,
            observer,
            cancel,
        )
        .await
    }
}

/// The database, marked as one with masked values, and its catalog.
async fn create_warehouse(home: &Home, settings: &Settings) -> Result<()> {
    let access = warehouse_access(settings).await?;
    let own = format!("/{DATABASE}?");
    let url = settings.warehouse.url.replacen(&own, "/postgres?", 1);
    let server = Access::new(Url::parse(&url)?, access.password.clone());
    let server = pg::connect(&server, Purpose::Warehouse).await?;
    let exists: bool = server
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)",
            &[&DATABASE],
        )
        .await?
        .get(0);
    if !exists {
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

/// Copies pairs into the laptop's catalog, with their tenants and templates. Of passwords, only references are copied.
async fn copy(session: &Session, pairs: &[Pair]) -> Result<()> {
    let known = templates::list(session).await?;
    for pair in pairs {
        let (tenant, template) = (&pair.tenant, &pair.template);
        let place = |e: Error| e.at(format!("template `{}`", template.name));
        if let Some(old) = known.iter().find(|old| old.template.name == template.name) {
            refuse_other_masks(&old.template, template).map_err(place)?;
        }
        templates::load(session, template)
            .await
            .map_err(|e| match e.kind() {
                Kind::Refused => e.with_hint(RECREATE),
                _ => e,
            })?;
        tenants::put(session, tenant)
            .await
            .map_err(|e| match e.kind() {
                Kind::Refused => e.with_hint(RECREATE),
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

/// Days loaded with other masks would remain among the new ones, perhaps with true values. (Other columns are refused by
/// the catalog itself.)
fn refuse_other_masks(old: &Template, new: &Template) -> Result<()> {
    let same = |new: &Column| {
        let of_that_name = old.columns.iter().find(|old| old.name == new.name);
        of_that_name.is_none_or(|old| old.mask == new.mask)
    };
    match new.columns.iter().find(|column| !same(column)) {
        None => Ok(()),
        Some(column) => Err(Error::refused(format!(
            "the mask of column `{}` differs from the one this laptop's days were loaded with",
            column.name
        ))
        .with_hint(RECREATE)),
    }
}
