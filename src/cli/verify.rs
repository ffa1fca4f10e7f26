//! `dayhaul verify`: is what stands in the warehouse what the sources have, and what the ledger says?

use super::context::Context;
use super::selection::{Resolved, SelectionArgs};
use super::signals::cancelled_by_signals;
use crate::catalog::{self, Catalog, Pair};
use crate::config::Settings;
use crate::engine::report::run::RunReport;
use crate::engine::run::request::DaysByPair;
use crate::engine::verify::coverage::coverage;
use crate::engine::verify::repair::{repair, repairable};
use crate::engine::verify::{Against, Checked, Verdict, Verification, Verify, VerifyDays, verify};
use crate::error::{Error, Result};
use crate::report::verify::json::{Covered, Verified};
use crate::report::verify::{self as shown, VerifyOutcome};
use crate::report::{Progress, summary};
use clap::ValueEnum;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without days, all that the ledger has are verified. Nothing is written unless `--repair` is given."
)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// What to compare
    #[arg(long, value_name = "WHAT", default_value = "both")]
    against: AgainstArg,
    /// Bring up the days that differ from their sources, make tables that are gone anew, then verify these days once more
    #[arg(long)]
    repair: bool,
    /// Find out which rows of a differing day were added, removed or changed; `--show-values` names them
    #[arg(long)]
    diff: bool,
    /// Only look whether every day is in the ledger, from a pair's first day on; reads no rows
    #[arg(long, conflicts_with_all = ["against", "repair", "diff"])]
    coverage: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AgainstArg {
    /// Source and warehouse
    Source,
    /// Warehouse and ledger; no source is touched
    Ledger,
    /// Source, warehouse and ledger
    Both,
    /// Parquet files, warehouse and ledger; no source is touched
    Parquet,
    /// Source, warehouse, ledger and Parquet files
    All,
}

impl From<AgainstArg> for Against {
    fn from(against: AgainstArg) -> Against {
        match against {
            AgainstArg::Source => Against::Source,
            AgainstArg::Ledger => Against::Ledger,
            AgainstArg::Both => Against::Both,
            AgainstArg::Parquet => Against::Parquet,
            AgainstArg::All => Against::All,
        }
    }
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let settings = context.settings()?;
    let resolved = args.selection.resolve()?;
    let against = Against::from(args.against);
    if args.diff && !against.reads_sources() {
        return Err(Error::usage("`--diff` needs the source").with_hint(
            "it compares its rows with the warehouse's: use `--against both`, `source` or `all`",
        ));
    }
    if args.repair && against.reads_files() {
        return Err(
            Error::usage("`--repair` loads from sources, and mends no file")
                .with_hint("`dayhaul land --rewrite` writes files again, from the warehouse"),
        );
    }
    let catalog = Catalog::open(&settings).await?;
    let pairs = catalog::pairs(catalog.session(), &resolved.selection).await?;
    if pairs.is_empty() {
        return Err(Error::refused("no template is enabled for any tenant")
            .with_hint("enable one with `dayhaul tenant enable T --template X`"));
    }
    if args.coverage {
        return cover(&catalog, &pairs, &resolved, context).await;
    }
    drop(catalog);
    let verifier = Verifier {
        settings: &settings,
        cancel: cancelled_by_signals(),
        context,
    };
    let asked = Verify {
        days: resolved.days.map_or(VerifyDays::Loaded, VerifyDays::Window),
        against,
        diff: args.diff,
        values: context.show_values,
    };
    let found = verifier.verify(&pairs, &asked).await?;
    let repairable = args.repair && found.units.iter().any(Checked::is_repairable);
    if !repairable || found.interrupted {
        context.print_json(&Verified::new(&found));
        return Ok(VerifyOutcome::of(&found).exit_code());
    }
    verifier.mend(&pairs, found, &asked, &resolved).await
}

async fn cover(
    catalog: &Catalog,
    pairs: &[Pair],
    resolved: &Resolved,
    context: &Context,
) -> Result<u8> {
    let days = resolved.days.ok_or_else(|| {
        Error::usage("`--coverage` needs days").with_hint("name them, mostly with `--year Y`")
    })?;
    let found = coverage(catalog.session(), pairs, days, resolved.today).await?;
    let covered = Covered::new(&found);
    context.print(shown::coverage(&found));
    context.print_json(&covered);
    Ok(covered.exit_code())
}

struct Verifier<'a> {
    settings: &'a Settings,
    cancel: CancellationToken,
    context: &'a Context,
}

impl Verifier<'_> {
    /// Verifies, with progress, and shows what was found.
    async fn verify(&self, pairs: &[Pair], asked: &Verify) -> Result<Verification> {
        let progress = Arc::new(Progress::new(self.context.progress(), "verify"));
        let found = verify(
            self.settings,
            pairs,
            asked,
            progress.clone(),
            self.cancel.clone(),
        )
        .await;
        progress.finish();
        let found = found?;
        self.context.print(shown::render(&found));
        self.context.causes(&found.failures);
        Ok(found)
    }

    /// Brings up what differs, and verifies it once more.
    async fn mend(
        &self,
        pairs: &[Pair],
        found: Verification,
        asked: &Verify,
        resolved: &Resolved,
    ) -> Result<u8> {
        let days = repairable(&found.units);
        let concerned = |pair: &&Pair| {
            days.contains_key(&(pair.tenant.name.clone(), pair.template.name.clone()))
        };
        let pairs: Vec<Pair> = pairs.iter().filter(concerned).cloned().collect();
        let run = self.load(&pairs, &days, resolved).await?;
        let asked = Verify {
            days: VerifyDays::These(days),
            ..asked.clone()
        };
        self.context.print("\nafter the repair:");
        let after = self.verify(&pairs, &asked).await?;
        let ended = ended(&found, &after, &run);
        self.context
            .print_json(&Verified::new(&found).repaired(&run, &after, ended));
        Ok(ended.exit_code())
    }

    async fn load(
        &self,
        pairs: &[Pair],
        days: &DaysByPair,
        resolved: &Resolved,
    ) -> Result<RunReport> {
        let progress = Arc::new(Progress::new(self.context.progress(), "repair"));
        let run = repair(
            self.settings,
            pairs.to_vec(),
            days.clone(),
            resolved.today,
            progress.clone(),
            self.cancel.clone(),
        )
        .await;
        progress.finish();
        let run = run?;
        if let Some(table) = summary::render(&run) {
            self.context.print(format!("\n{table}"));
        }
        self.context.failures(&run);
        Ok(run)
    }
}

/// All is well when the days that were mended are, and no others were not.
fn ended(before: &Verification, after: &Verification, run: &RunReport) -> VerifyOutcome {
    let interrupted = after.interrupted || run.interrupted;
    let mut others = before.units.iter().filter(|u| !u.is_repairable());
    let others_well = others.all(|u| u.verdict == Verdict::Ok);
    match VerifyOutcome::of(after) {
        _ if interrupted => VerifyOutcome::Interrupted,
        VerifyOutcome::Ok if before.failures.is_empty() && others_well => VerifyOutcome::Ok,
        VerifyOutcome::Ok => VerifyOutcome::NotOk,
        outcome => outcome,
    }
}
