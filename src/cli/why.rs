//! `dayhaul why`: the history of one unit.

use super::context::Context;
use super::today::TodayArgs;
use crate::catalog::Catalog;
use crate::catalog::runs::history::UnitAttempt;
use crate::catalog::views::unit_history::{self, Checked, UnitHistory, UnitState};
use crate::error::{Result, exit};
use crate::report::numbers::{bytes, count, counted, utc};
use crate::report::table::Sheet;
use crate::report::upcoming::next_steps;
use crate::unit::{Day, TemplateName, TenantName};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::fmt::Write as _;

const EXAMPLES: &str = "\
Examples:
  dayhaul why acme flights 2024-03-01
  dayhaul why acme flights 2024-03-01 --json";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The tenant
    tenant: TenantName,
    /// The template
    template: TemplateName,
    /// The UTC day, YYYY-MM-DD
    day: Day,
    #[command(flatten)]
    today: TodayArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let catalog = Catalog::open(&context.settings()?).await?;
    let life =
        unit_history::read(catalog.session(), &args.tenant, &args.template, args.day).await?;
    let next = next_steps(&life, args.today.day());
    context.print(page(&life, &next));
    context.print_json(&to_json(&life, &next));
    Ok(exit::OK)
}

fn page(life: &UnitHistory, next: &[String]) -> String {
    let mut text = facts(life);
    if !life.attempts.is_empty() {
        let _ = write!(text, "\n\n{}", attempts(&life.attempts));
    }
    for attempt in &life.attempts {
        if let Some(error) = &attempt.error {
            let _ = write!(text, "\nrun {}: {error}", attempt.run);
        }
    }
    text.push_str("\n\nnext:");
    for step in next {
        let _ = write!(text, "\n  {step}");
    }
    text
}

fn facts(life: &UnitHistory) -> String {
    let name = format!("{}/{}/{}", life.tenant.name, life.template.name, life.day);
    let mut sheet = Sheet::new(&["unit", &name]);
    let mut fact = |what: &str, value: String| sheet.row([what.to_owned(), value]);
    fact("state", state(&life.now));
    if let Some(rows) = life.now.rows() {
        let size = counted(rows.rows, "row");
        fact("size", format!("{size}, {}", bytes(rows.bytes)));
        fact("table", place(life));
        fact("digest", rows.digest.clone().unwrap_or_default());
        let current = life.template.version();
        fact(
            "version",
            if rows.version == current {
                format!("{current} (current)")
            } else {
                format!("{} (outdated; current is {current})", rows.version)
            },
        );
    }
    if let Some((object, holds)) = &life.object {
        let holds = if *holds {
            ""
        } else {
            " (outdated; it has other rows)"
        };
        let rounded = match object.rounded {
            Some(n) if n > 0 => format!(", {} rounded", counted(n, "value")),
            _ => String::new(),
        };
        fact(
            "file",
            format!("{}, {}{rounded}{holds}", object.url, bytes(object.bytes)),
        );
    }
    if let UnitState::Loaded {
        loaded_at, checked, ..
    }
    | UnitState::Landed {
        landed_at: loaded_at,
        checked,
        ..
    } = &life.now
    {
        fact("loaded", loaded_at.map_or_else(String::new, utc));
        fact("settled", settled(life, *checked));
    }
    if let Some(pair) = life.pair {
        let day = |day: Option<Day>| day.map_or_else(|| "none yet".to_owned(), |d| d.to_string());
        fact("first day", day(pair.first_day));
        fact("fold line", day(pair.fold_line));
    }
    fact(
        "locked by",
        life.held_by.clone().unwrap_or_else(|| "nobody".to_owned()),
    );
    sheet.render()
}

/// "no: last compared 2024-01-21 11:02:00, before its end".
fn settled(life: &UnitHistory, checked: Checked) -> String {
    let (template, day) = (&life.template, life.day);
    let Some(on) = checked.on else {
        return "no: never compared with its source since it was restored".to_owned();
    };
    // A run with `--today` counts as of that date.
    let at = match checked.at {
        Some(at) if Day::from(at.date_naive()) == on => utc(at),
        _ => on.to_string(),
    };
    if template.is_settled(day, checked.on) {
        format!("yes: last compared {at}")
    } else if on <= day {
        format!("no: last compared {at}, before its end")
    } else {
        let days = counted(template.lookback_days.into(), "day");
        format!("no: last compared {at}, before its end plus the lookback of {days}")
    }
}

fn state(now: &UnitState) -> String {
    match now {
        UnitState::NeverTried => "never tried: it is not in the ledger".to_owned(),
        UnitState::Failed { tries: 1, .. } => "failed after 1 try".to_owned(),
        UnitState::Failed { tries, .. } => format!("failed after {tries} tries"),
        UnitState::Staged { error: None, .. } => {
            "staged: in a year that is being built and that no view shows yet".to_owned()
        }
        UnitState::Staged {
            error: Some(error), ..
        } => format!("staged: in a year that no view shows yet; the last try failed: {error}"),
        UnitState::Loaded { rows, .. } if rows.rows == 0 => {
            "loaded: the source has no rows for it".to_owned()
        }
        UnitState::Loaded { .. } => "loaded".to_owned(),
        UnitState::Landed { .. } => "landed: in its file, but not in the warehouse".to_owned(),
    }
}

/// The table of the rows, and whether it has all of them.
fn place(life: &UnitHistory) -> String {
    let (Some(found), Some(rows)) = (&life.place, life.now.rows()) else {
        return "none".to_owned();
    };
    match found.rows {
        None => format!("{}, which does not exist", found.relation),
        Some(n) if n == rows.rows => found.relation.clone(),
        Some(n) => format!(
            "{}, which holds {} of that day: the table and the ledger differ",
            found.relation,
            counted(n, "row")
        ),
    }
}

fn attempts(attempts: &[UnitAttempt]) -> String {
    let mut sheet = Sheet::new(&[
        ">run", "command", "at (UTC)", "outcome", ">rows", "digest", "version", ">tries", "host",
    ]);
    for a in attempts {
        sheet.row([
            a.run.to_string(),
            a.command.clone().unwrap_or_default(),
            utc(a.at),
            a.outcome.clone(),
            a.rows.map_or_else(String::new, count),
            a.digest.as_deref().map_or_else(String::new, short),
            short(&a.version),
            a.tries.to_string(),
            a.host.clone().unwrap_or_default(),
        ]);
    }
    sheet.render()
}

/// The start of a hash, enough to distinguish two; `--json` has all of it.
fn short(hash: &str) -> String {
    hash.chars().take(8).collect()
}

fn to_json(life: &UnitHistory, next: &[String]) -> Value {
    let rows = life.now.rows();
    let loaded_at = match &life.now {
        UnitState::Loaded { loaded_at, .. } => *loaded_at,
        UnitState::Landed { landed_at, .. } => *landed_at,
        _ => None,
    };
    let checked = life.now.checked();
    let settled = checked.map(|checked| life.template.is_settled(life.day, checked.on));
    let (error, tries) = match &life.now {
        UnitState::Failed { error, tries } => (Some(error), Some(tries)),
        UnitState::Staged { error, .. } => (error.as_ref(), None),
        _ => (None, None),
    };
    let time = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339());
    let pair = life.pair.map(|pair| {
        let day = |day: Option<Day>| day.map(|d| d.to_string());
        json!({"enabled": pair.enabled, "first_day": day(pair.first_day), "fold_line": day(pair.fold_line)})
    });
    json!({
        "schema": "dayhaul.why/1",
        "tenant": life.tenant.name.as_str(),
        "template": life.template.name.as_str(),
        "day": life.day.to_string(),
        "state": life.now.word(),
        "rows": rows.map(|r| r.rows),
        "bytes": rows.map(|r| r.bytes),
        "digest": rows.and_then(|r| r.digest.as_deref()),
        "version": rows.map(|r| r.version.as_str()),
        "current_version": life.template.version(),
        "loaded_at": time(loaded_at),
        "checked_at": time(checked.and_then(|c| c.at)),
        "checked_on": checked.and_then(|c| c.on).map(|on| on.to_string()),
        "settled": settled,
        "error": error,
        "tries": tries,
        "object": life.object.as_ref().map(|(object, holds)| json!({
            "url": object.url,
            "bytes": object.bytes,
            "rounded": object.rounded,
            "digest": object.digest.to_string(),
            "current": holds,
        })),
        "relation": life.place.as_ref().map(|p| p.relation.as_str()),
        "rows_found": life.place.as_ref().and_then(|p| p.rows),
        "pair": pair,
        "held_by": life.held_by,
        "attempts": life.attempts.iter().map(attempt_to_json).collect::<Value>(),
        "next": next,
    })
}

fn attempt_to_json(a: &UnitAttempt) -> Value {
    json!({
        "run": a.run,
        "command": a.command,
        "host": a.host,
        "at": a.at.to_rfc3339(),
        "outcome": a.outcome,
        "rows": a.rows,
        "digest": a.digest,
        "version": a.version,
        "tries": a.tries,
        "error": a.error,
    })
}
