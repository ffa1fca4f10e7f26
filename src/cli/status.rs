//! `dayhaul status`: how far each tenant and template is.

use super::context::Context;
use super::selection::SelectionArgs;
use crate::catalog::Catalog;
use crate::catalog::registry::pairs;
use crate::catalog::runs::selected::inclusive;
use crate::catalog::snapshot::restored::{self, Restored};
use crate::catalog::views::status::{self, PairStanding, standing};
use crate::error::{Result, exit};
use crate::report::failure;
use crate::report::numbers::{count, counted, utc};
use crate::report::odd_view_json;
use crate::report::table::Sheet;
use crate::unit::Day;
use crate::warehouse::{OddView, odd_views};
use serde_json::{Value, json};
use std::fmt::Write as _;

const EXAMPLES: &str = "\
Without days, each pair is checked from its first day to yesterday. A day is
unsettled until it was compared with its source at or after its end plus the
template's `lookback_days`, and overdue when no `sync` did that.

Examples:
  dayhaul status
  dayhaul status --tenant acme --year 2024
  dayhaul status --check --quiet     for monitoring: any gap sets exit code 1
  dayhaul status --data              to compare warehouses and snapshots";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Exit with 1 when a day failed, is missing or overdue, a pair's last run failed or it was never loaded, or a view does not show what it should
    #[arg(long, help_heading = "Options")]
    check: bool,
    /// With `--check`, exit with 1 when a tenant or a template of it is disabled, too
    #[arg(long, requires = "check", help_heading = "Options")]
    strict: bool,
    /// Show a fingerprint of the whole ledger, too: warehouses with the same one have the same rows of the same days (reads every digest)
    #[arg(long, help_heading = "Options")]
    data: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let resolved = args.selection.resolve()?;
    let catalog = Catalog::open(&context.settings()?).await?;
    let session = catalog.session();
    let pairs = pairs::enabled(session, &resolved.selection).await?;
    let status = Status {
        views: odd_views(session, &pairs).await?,
        pairs: standing(session, &resolved.selection, resolved.days, resolved.today).await?,
        restored: restored::latest(session).await?,
        content: if args.data {
            Some(status::content(session).await?)
        } else {
            None
        },
    };
    context.print(status.page());
    let bad = !status.is_well() || args.strict && status.has_disabled();
    let code = if args.check && bad {
        exit::FAILED
    } else {
        exit::OK
    };
    context.print_json(&status.json(code));
    Ok(code)
}

struct Status {
    pairs: Vec<PairStanding>,
    /// Views that do not show what they should.
    views: Vec<OddView>,
    restored: Option<Restored>,
    /// The ledger's fingerprint, if it is asked for.
    content: Option<String>,
}

impl Status {
    fn is_well(&self) -> bool {
        let complete = |pair: &PairStanding| {
            let days = &pair.days;
            days.failed == 0
                && days.missing_days.is_empty()
                && days.overdue_days.is_empty()
                && Status::remark(pair).is_none()
        };
        self.views.is_empty() && self.pairs.iter().all(complete)
    }

    fn has_disabled(&self) -> bool {
        self.pairs.iter().any(|pair| !pair.enabled)
    }

    /// What is wrong with an enabled pair as a whole.
    fn remark(pair: &PairStanding) -> Option<String> {
        if !pair.enabled {
            return None;
        }
        if let Some(run) = pair.last_run.as_ref().filter(|run| run.is_bad()) {
            return Some(format!(
                "its last run, {} ({}), {}: `dayhaul history {0}` says why",
                run.id, run.command, run.outcome
            ));
        }
        pair.was_never_loaded().then(|| {
            format!(
                "never loaded: `dayhaul backfill --tenant {} --template {} --from D` loads it",
                pair.tenant, pair.template.name
            )
        })
    }

    fn page(&self) -> String {
        let mut text = String::new();
        if let Some(restored) = &self.restored {
            let _ = writeln!(text, "{}", sentence(restored));
        }
        if let Some(content) = &self.content {
            let _ = writeln!(text, "data {content}");
        }
        if !text.is_empty() {
            text.push('\n');
        }
        if self.pairs.is_empty() {
            text.push_str("no template is enabled for any tenant");
            return text;
        }
        let mut sheet = Sheet::new(&[
            "tenant",
            "template",
            ">loaded",
            ">landed",
            ">failed",
            ">missing",
            ">unsettled",
            ">rows",
            "first day",
            "last day",
            "fold line",
            "last run",
        ]);
        for pair in &self.pairs {
            sheet.row(Status::row(pair));
        }
        text.push_str(&sheet.render());
        for pair in &self.pairs {
            let name = format!("{}/{}", pair.tenant, pair.template.name);
            for (what, days) in [
                ("failed", &pair.days.failed_days),
                ("missing", &pair.days.missing_days),
                ("overdue", &pair.days.overdue_days),
            ] {
                if !days.is_empty() {
                    let _ = write!(text, "\n{what} of {name}: {}", failure::days(days));
                }
            }
        }
        if self
            .pairs
            .iter()
            .any(|pair| !pair.days.overdue_days.is_empty())
        {
            text.push_str(
                "\noverdue days may have got rows since they were last compared with their source: `dayhaul sync` compares them",
            );
        }
        for pair in &self.pairs {
            if let Some(remark) = Status::remark(pair) {
                let _ = write!(text, "\n{}/{}: {remark}", pair.tenant, pair.template.name);
            }
        }
        for odd in &self.views {
            let _ = write!(text, "\n{odd}");
        }
        if self.views.iter().any(|odd| odd.wrong.is_repairable()) {
            text.push_str("\n`dayhaul verify --repair`, and each `dayhaul sync`, makes views anew");
        }
        text
    }

    fn row(pair: &PairStanding) -> Vec<String> {
        let day = |day: Option<Day>| day.map_or_else(|| "-".to_owned(), |d| d.to_string());
        let days = &pair.days;
        let name = if pair.enabled {
            pair.template.name.to_string()
        } else {
            format!("{} (disabled)", pair.template.name)
        };
        vec![
            pair.tenant.to_string(),
            name,
            count(days.loaded),
            count(days.landed),
            count(days.failed),
            count(days.missing() as u64),
            count(days.unsettled),
            count(days.rows),
            day(pair.first_day),
            day(days.last_loaded),
            day(pair.fold_line),
            pair.last_run.as_ref().map_or_else(
                || "-".to_owned(),
                |run| format!("{} {} {} {}", run.id, run.command, run.outcome, utc(run.at)),
            ),
        ]
    }

    fn json(&self, exit_code: u8) -> Value {
        json!({
            "schema": "dayhaul.status/1",
            "outcome": if self.is_well() { "ok" } else { "not_ok" },
            "exit_code": exit_code,
            "data": self.content,
            "restored": self.restored.as_ref().map(restored_json),
            "views": odd_view_json::odd_views(&self.views),
            "pairs": self.pairs.iter().map(Status::pair_json).collect::<Value>(),
        })
    }

    fn pair_json(pair: &PairStanding) -> Value {
        let day = |day: Option<Day>| day.map(|d| d.to_string());
        let days = &pair.days;
        json!({
            "tenant": pair.tenant.as_str(),
            "template": pair.template.name.as_str(),
            "enabled": pair.enabled,
            "loaded": days.loaded,
            "landed": days.landed,
            "failed": days.failed,
            "missing": days.missing(),
            "unsettled": days.unsettled,
            "rows": days.rows,
            "first_day": day(pair.first_day),
            "last_day": day(days.last_loaded),
            "fold_line": day(pair.fold_line),
            "failed_days": inclusive(&days.failed_days),
            "missing_days": inclusive(&days.missing_days),
            "overdue_days": inclusive(&days.overdue_days),
            "remark": Status::remark(pair),
            "last_run": pair.last_run.as_ref().map(|run| json!({
                "run": run.id, "command": run.command, "outcome": run.outcome, "at": run.at.to_rfc3339(),
            })),
        })
    }
}

/// "restored from snapshot 3f2a91c04b7e of 2024-01-15 03:00:00 (UTC), run 3, done; only 2024-01-01 … 2024-01-30".
fn sentence(restored: &Restored) -> String {
    let from = match &restored.snapshot {
        Some((id, at)) => format!("snapshot {id} of {} (UTC)", utc(*at)),
        None => format!("files, on {} (UTC)", utc(restored.at)),
    };
    let run = match (restored.run, &restored.outcome) {
        (Some(run), Some(outcome)) => format!("run {run}, {outcome}"),
        (Some(run), None) => format!("run {run}, not ended"),
        (None, _) => "no run has started".to_owned(),
    };
    let mut days = match restored.days {
        Some(days) => format!("; only {days}"),
        None => String::new(),
    };
    for (count, what) in [
        (restored.newer_days, "newer than it"),
        (restored.rounded_days, "with rounded values"),
    ] {
        if let Some(count) = u64::try_from(count).ok().filter(|n| *n > 0) {
            let _ = write!(days, "; {} {what}", counted(count, "day"));
        }
    }
    format!(
        "restored from {from}: {}; {run}{days}",
        restored.sources.join(", ")
    )
}

fn restored_json(restored: &Restored) -> Value {
    json!({
        "run": restored.run,
        "outcome": restored.outcome,
        "snapshot": restored.snapshot.as_ref().map(|(id, _)| id),
        "snapshot_at": restored.snapshot.as_ref().map(|(_, at)| at.to_rfc3339()),
        "sources": restored.sources,
        "days": restored.days.map(|days| inclusive(&[days])),
        "newer_days": restored.newer_days,
        "rounded_days": restored.rounded_days,
        "at": restored.at.to_rfc3339(),
    })
}
