//! `dayhaul verify`: does the warehouse have the rows of the sources and of the ledger?

use super::context::Context;
use super::selection::{Resolved, SelectionArgs, enabled_pairs};
use crate::catalog::{Catalog, Pair};
use crate::config::Settings;
use crate::engine::locks::held_pairs::HeldPairs;
use crate::engine::report::run::RunReport;
use crate::engine::run::request::DaysByPair;
use crate::engine::verify::coverage::coverage;
use crate::engine::verify::repair::{drop_orphans, repair, repairable, with_orphans, with_views};
use crate::engine::verify::{Against, Checked, Verdict, Verification, Verify, VerifyDays, verify};
use crate::error::{Error, Result};
use crate::report::run_table;
use crate::report::verify::json::{CoverageJson, VerifyJson};
use crate::report::verify::{self as shown, VerifyOutcome};
use crate::warehouse::{OddView, Orphan};
use clap::ValueEnum;
use tokio_util::sync::CancellationToken;

const EXAMPLES: &str = "\
Without days, all days of the ledger are verified. Nothing is written without
`--repair`. Any finding sets exit code 1.

Examples:
  dayhaul verify --last 30
  dayhaul verify --tenant acme --year 2024 --against ledger
  dayhaul verify --template flights --from 2024-03-01 --diff --repair
  dayhaul verify --coverage --year 2024";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// What to compare
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "both",
        help_heading = "Options"
    )]
    against: AgainstArg,
    /// Load days that differ from their sources, recreate missing tables and wrong views, drop tables that an interrupted run left, then verify these days again
    #[arg(long, help_heading = "Options")]
    repair: bool,
    /// Count the rows of a differing day that were added, removed or changed; `--show-values` lists them
    #[arg(long, help_heading = "Options")]
    diff: bool,
    /// Only check that all days are in the ledger, from a pair's first day on; reads no rows
    #[arg(long, conflicts_with_all = ["against", "repair", "diff"], help_heading = "Options")]
    coverage: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AgainstArg {
    /// Source and warehouse
    Source,
    /// Warehouse and ledger; no source is contacted
    Ledger,
    /// Source, warehouse and ledger
    Both,
    /// Parquet files, warehouse and ledger; no source is contacted
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
        return Err(Error::usage("`--diff` needs the source")
            .with_hint("use `--against both`, `--against source` or `--against all`"));
    }
    if args.repair && against.reads_files() {
        return Err(
            Error::usage("`--repair` loads from sources and cannot fix files").with_hint(
                "write the files again from the warehouse with `dayhaul land --rewrite`",
            ),
        );
    }
    let catalog = Catalog::open(&settings).await?;
    let pairs = enabled_pairs(&catalog, &resolved.selection).await?;
    if args.coverage {
        return cover(&catalog, &pairs, &resolved, context).await;
    }
    drop(catalog);
    let verifier = Verifier {
        settings: &settings,
        cancel: context.cancel(),
        context,
    };
    let request = Verify {
        days: resolved.days.map_or(VerifyDays::Loaded, VerifyDays::Window),
        against,
        diff: args.diff,
        values: context.show_values,
        today: resolved.today,
    };
    let found = verifier.verify(&pairs, &request).await?;
    let repairable_view = |odd: &OddView| odd.wrong.is_repairable();
    let something = found.units.iter().any(Checked::is_repairable)
        || found.views.iter().any(repairable_view)
        || found.orphans.iter().any(Orphan::is_droppable);
    let to_repair = args.repair && something;
    if !to_repair || found.interrupted {
        context.print_json(&VerifyJson::new(&found));
        return Ok(VerifyOutcome::of(&found).exit_code());
    }
    verifier.repair(&pairs, found, &request, &resolved).await
}

async fn cover(
    catalog: &Catalog,
    pairs: &[Pair],
    resolved: &Resolved,
    context: &Context,
) -> Result<u8> {
    let days = resolved.days.ok_or_else(|| {
        Error::usage("`--coverage` needs days")
            .with_hint("add `--year Y`, `--last N` or `--from D --to D`")
    })?;
    let found = coverage(catalog.session(), pairs, days, resolved.today).await?;
    let covered = CoverageJson::new(&found);
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
    async fn verify(&self, pairs: &[Pair], request: &Verify) -> Result<Verification> {
        let cancel = self.cancel.clone();
        let found = self
            .context
            .with_progress("verify", |progress| {
                verify(self.settings, pairs, request, progress, cancel)
            })
            .await?;
        self.context.print(shown::render(&found));
        self.context.causes(&found.failures);
        Ok(found)
    }

    /// Drops what stands in the way, loads the days that differ, and verifies them again.
    async fn repair(
        &self,
        pairs: &[Pair],
        found: Verification,
        request: &Verify,
        resolved: &Resolved,
    ) -> Result<u8> {
        for left in drop_orphans(self.settings, &found.orphans).await? {
            self.context.warn(left.warning());
        }
        let days = with_views(repairable(&found.units), &found.views, pairs);
        let days = with_orphans(days, &found.orphans);
        let concerned = |pair: &&Pair| {
            days.contains_key(&(pair.tenant.name.clone(), pair.template.name.clone()))
        };
        let pairs: Vec<Pair> = pairs.iter().filter(concerned).cloned().collect();
        let run = self.load(&pairs, &days, resolved).await?;
        let request = Verify {
            days: VerifyDays::These(days),
            ..request.clone()
        };
        self.context.print("\nafter the repair:");
        let after = self.verify(&pairs, &request).await?;
        let ended = ended(&found, &after, &run);
        self.context
            .print_json(&VerifyJson::new(&found).repaired(&run, &after, ended));
        Ok(ended.exit_code())
    }

    async fn load(
        &self,
        pairs: &[Pair],
        days: &DaysByPair,
        resolved: &Resolved,
    ) -> Result<RunReport> {
        let run = self
            .context
            .with_progress("repair", |progress| {
                repair(
                    self.settings,
                    pairs.to_vec(),
                    days.clone(),
                    resolved.today,
                    progress,
                    self.cancel.clone(),
                )
            })
            .await?;
        if let Some(table) = run_table::render(&run) {
            self.context.print(format!("\n{table}"));
        }
        self.context.failures(&run, HeldPairs::REPORT);
        Ok(run)
    }
}

/// Everything is well when the repaired days are and the others were.
fn ended(before: &Verification, after: &Verification, run: &RunReport) -> VerifyOutcome {
    let interrupted = after.interrupted || run.interrupted;
    let mut others = before.units.iter().filter(|u| !u.is_repairable());
    let views_well = before.views.iter().all(|odd| odd.wrong.is_repairable());
    let orphans_well = before.orphans.iter().all(Orphan::is_droppable);
    let others_well = views_well && orphans_well && others.all(|u| u.verdict == Verdict::Ok);
    match VerifyOutcome::of(after) {
        _ if interrupted => VerifyOutcome::Interrupted,
        VerifyOutcome::Ok if before.failures.is_empty() && others_well => VerifyOutcome::Ok,
        VerifyOutcome::Ok => VerifyOutcome::NotOk,
        outcome => outcome,
    }
}
