//! What happens to a unit next, and which command does it.

use crate::catalog::views::unit_history::{LedgerRows, UnitHistory, UnitState};
use crate::unit::Day;

/// One sentence each, the nearest first.
pub fn next_steps(life: &UnitHistory, today: Day) -> Vec<String> {
    let (tenant, template, day) = (&life.tenant.name, &life.template.name, life.day);
    if !life.tenant.enabled {
        return vec![format!(
            "nothing: tenant `{tenant}` is disabled; enable it with `dayhaul tenant enable {tenant}`"
        )];
    }
    let Some(pair) = life.pair.filter(|pair| pair.enabled) else {
        return vec![format!(
            "nothing: `{template}` is not enabled for `{tenant}`; enable it with `dayhaul tenant enable {tenant} --template {template}`"
        )];
    };
    let load = format!(
        "`dayhaul backfill --tenant {tenant} --template {template} --from {day} --to {day}` loads it"
    );
    match &life.now {
        UnitState::Staged { .. } => vec![format!(
            "readers see it when its year is complete: the next `backfill` of days of {} continues it",
            day.year()
        )],
        UnitState::Failed { .. } => {
            vec!["the next `backfill` of this day, or `sync`, tries it again".to_owned()]
        }
        UnitState::NeverTried if day > today => {
            vec![format!(
                "it is in the future: `sync` loads it from {day} on"
            )]
        }
        UnitState::NeverTried => match pair.first_day {
            Some(first) if first <= day => {
                vec!["the next `backfill` of this day, or `sync`, loads it".to_owned()]
            }
            Some(first) => vec![format!(
                "nothing automatically: it is before the first day ever requested, {first}; {load}"
            )],
            None => vec![format!(
                "nothing automatically: no day was ever requested; {load}"
            )],
        },
        UnitState::Landed { .. } => vec![format!(
            "nothing automatically in the warehouse: {load} there; `refresh --to parquet` compares its file with the source"
        )],
        UnitState::Loaded { rows, .. } => loaded_day(life, rows, pair.fold_line, today),
    }
}

fn loaded_day(
    life: &UnitHistory,
    rows: &LedgerRows,
    fold_line: Option<Day>,
    today: Day,
) -> Vec<String> {
    let mut steps = Vec::new();
    if life.object.as_ref().is_some_and(|(_, current)| !current) {
        steps.push("the next run that lands writes its file again, from the warehouse".to_owned());
    }
    if rows.version != life.template.version() {
        steps.push("`refresh --outdated` loads it with the template's current version".to_owned());
    }
    steps.push(next_comparison(life, today));
    if fold_line.is_none_or(|line| life.day >= line) {
        let open_days = i32::try_from(life.template.open_days).unwrap_or(i32::MAX);
        let folded = life.day.plus(open_days);
        steps.push(if folded <= today {
            "the next `sync` folds it into its year's table".to_owned()
        } else {
            format!("`sync` folds it into its year's table from {folded} on")
        });
    }
    steps
}

fn next_comparison(life: &UnitHistory, today: Day) -> String {
    let (template, settles) = (&life.template, life.template.settles_on(life.day));
    let checked_on = life.now.checked().and_then(|checked| checked.on);
    if template.is_settled(life.day, checked_on) {
        return "nothing soon: it is settled; `sync` compares a settled day once a month (`sweep_days`), `refresh` and \
                `verify` on request"
            .to_owned();
    }
    if today < settles {
        format!(
            "every `sync` up to {settles} compares it with its source, and writes only what differs"
        )
    } else {
        "the next `sync` compares it with its source: it is not settled".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Tenant;
    use crate::catalog::views::unit_history::{Checked, PairFacts};
    use crate::pg::SearchPath;
    use crate::template::Template;
    use crate::unit::{SchemaName, TemplateName, TenantName};
    use std::collections::BTreeMap;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn life(of: &str, now: UnitState) -> UnitHistory {
        let source = "/*\ntime_column = \"at\"\n[columns]\nat = \"timestamptz\"\n*/\nSELECT at FROM e WHERE at >= {from} AND at < {to}";
        UnitHistory {
            tenant: Tenant {
                name: TenantName::parse("acme").unwrap(),
                schema: SchemaName::parse("acme").unwrap(),
                url: None,
                password: None,
                vars: BTreeMap::new(),
                enabled: true,
                source_schema: None,
                search_path: SearchPath::Unknown,
            },
            template: Template::parse(TemplateName::parse("event").unwrap(), source).unwrap(),
            day: day(of),
            pair: Some(PairFacts {
                enabled: true,
                first_day: Some(day("2024-01-10")),
                fold_line: Some(day("2024-03-05")),
            }),
            now,
            object: None,
            place: None,
            attempts: Vec::new(),
            held_by: None,
        }
    }

    fn loaded(version: &str) -> UnitState {
        UnitState::Loaded {
            rows: LedgerRows {
                rows: 1,
                bytes: 1,
                digest: None,
                version: version.to_owned(),
                relation: None,
            },
            loaded_at: None,
            checked: Checked::default(),
        }
    }

    fn joined(life: &UnitHistory) -> String {
        next_steps(life, day("2024-03-20")).join("; ")
    }

    #[test]
    fn a_missing_day_names_the_command_that_loads_it() {
        let on = |of| joined(&life(of, UnitState::NeverTried));
        assert!(on("2024-01-10").starts_with("the next `backfill`"));
        assert!(on("2024-01-09").contains("before the first day"));
        assert!(on("2024-03-20").starts_with("the next"));
        assert!(on("2024-03-21").contains("future"));
    }

    #[test]
    fn a_loaded_day_is_compared_until_it_is_settled_and_folded() {
        let current = life("2024-03-06", UnitState::NeverTried)
            .template
            .version()
            .to_owned();
        let on = |of| joined(&life(of, loaded(&current)));
        assert!(on("2024-03-06").starts_with("every `sync` up to 2024-03-21"));
        assert_eq!(
            on("2024-03-05"),
            "the next `sync` compares it with its source: it is not settled; \
             the next `sync` folds it into its year's table"
        );
        assert!(!on("2024-03-04").contains("folds"));
        let mut settled = life("2024-03-04", loaded(&current));
        if let UnitState::Loaded { checked, .. } = &mut settled.now {
            checked.on = Some(day("2024-03-19"));
        }
        assert!(joined(&settled).starts_with("nothing soon: it is settled"));
        assert!(joined(&life("2024-03-04", loaded("old"))).contains("refresh --outdated"));
    }

    #[test]
    fn nothing_happens_to_what_is_not_enabled() {
        let mut disabled = life("2024-03-06", UnitState::NeverTried);
        disabled.pair = None;
        assert!(joined(&disabled).starts_with("nothing: `event` is not enabled"));
        disabled.tenant.enabled = false;
        assert!(joined(&disabled).starts_with("nothing: tenant `acme` is disabled"));
    }
}
