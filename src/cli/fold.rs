//! `dayhaul fold`: closed days move into their year tables.

use super::context::Context;
use super::load::IfLocked;
use super::signals::cancelled_by_signals;
use crate::catalog::{self, Catalog, Selection};
use crate::engine::fold::{Fold, FoldReport, FoldTarget, dry_run, fold};
use crate::error::{Error, Result};
use crate::report::{Progress, fold as report};
use crate::unit::{Day, TemplateName, TenantName};
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Close this year: all its days that are over, however few stay open otherwise
    #[arg(long, value_name = "Y", value_parser = clap::value_parser!(i32).range(1000..=9998))]
    year: Option<i32>,
}

/// What `fold` and `unfold` share.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// Only this tenant (repeatable) [default: all that are enabled]
    #[arg(long = "tenant", value_name = "T")]
    tenants: Vec<TenantName>,
    /// Only this template (repeatable) [default: all that are enabled]
    #[arg(long = "template", value_name = "X")]
    templates: Vec<TemplateName>,
    /// Print what would move, and touch nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait for a (tenant, template) that another run holds
    #[arg(long)]
    wait: bool,
    /// What it means when a (tenant, template) is held by another run
    #[arg(long, value_name = "WHAT", default_value = "fail")]
    if_locked: IfLocked,
    /// Take this day for today
    #[arg(long, value_name = "D", hide = true)]
    today: Option<Day>,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let target = args.year.map_or(FoldTarget::OpenDays, FoldTarget::Year);
    args.common.move_line(target, context).await
}

impl Common {
    /// Moves the fold line of the selected pairs, and shows how it ended.
    pub(super) async fn move_line(self, target: FoldTarget, context: &Context) -> Result<u8> {
        let settings = context.settings()?;
        let today = self.today.unwrap_or_else(Day::today);
        let selection = Selection {
            tenants: self.tenants,
            templates: self.templates,
        };
        let catalog = Catalog::open(&settings).await?;
        let pairs = catalog::pairs(catalog.session(), &selection).await?;
        if pairs.is_empty() {
            return Err(Error::refused("no template is enabled for any tenant")
                .with_hint("enable one with `dayhaul tenant enable T --template X`"));
        }
        if self.dry_run {
            let report = dry_run(catalog.session(), &pairs, target, today).await?;
            return Ok(show(&report, IfLocked::Fail, context));
        }
        drop(catalog);
        let asked = Fold {
            target,
            today,
            wait: self.wait,
        };
        let progress = Arc::new(Progress::new(context.progress(), "fold"));
        let result = fold(
            &settings,
            pairs,
            &asked,
            progress.clone(),
            cancelled_by_signals(),
        )
        .await;
        progress.finish();
        Ok(show(&result?, self.if_locked, context))
    }
}

/// Gives the exit code.
fn show(fold: &FoldReport, if_locked: IfLocked, context: &Context) -> u8 {
    let exit_code = report::exit_code(fold, if_locked == IfLocked::Ok);
    context.print(report::render(fold));
    context.print_json(&report::FoldJson::new(fold, exit_code));
    context.causes(&fold.failures);
    context.cancelled(fold.run, fold.cancelled_by.as_deref());
    exit_code
}
