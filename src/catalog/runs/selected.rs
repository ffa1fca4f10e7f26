//! What a run was for: its pairs, and the days of each, as `_wh.run.selection` keeps them.

use crate::error::{Error, Kind, Result};
use crate::unit::{Day, TemplateName, TenantName, Window};
use serde::Deserialize;
use serde_json::{Value, json};

/// A pair of a run's selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedPair {
    pub tenant: TenantName,
    pub template: TemplateName,
    /// None when the run is not about days, or did not find out about them.
    pub days: Vec<Window>,
}

#[derive(Deserialize)]
struct KeptPair {
    tenant: String,
    template: String,
    days: Vec<[String; 2]>,
}

/// Reads `_wh.run.selection`.
///
/// # Errors
/// It is not what a run writes there.
pub fn read(kept: &str) -> Result<Vec<SelectedPair>> {
    let kept: Vec<KeptPair> = serde_json::from_str(kept).map_err(|e| {
        Error::new(Kind::Config, "failed to read the run's selection").with_source(e)
    })?;
    kept.iter()
        .map(|pair| {
            Ok(SelectedPair {
                tenant: TenantName::parse(&pair.tenant)?,
                template: TemplateName::parse(&pair.template)?,
                days: windows(&pair.days)?,
            })
        })
        .collect()
}

/// A pair of `_wh.run.selection`, and of the JSON of a run.
pub fn to_json(tenant: &TenantName, template: &TemplateName, days: &[Window]) -> Value {
    json!({"tenant": tenant.as_str(), "template": template.as_str(), "days": inclusive(days)})
}

/// Windows as the catalog keeps them: pairs of a first and a last day.
pub fn inclusive(windows: &[Window]) -> Vec<[String; 2]> {
    windows
        .iter()
        .map(|w| [w.from.to_string(), w.to.plus(-1).to_string()])
        .collect()
}

/// The windows that [`inclusive`] wrote.
///
/// # Errors
/// One of them is not a day.
pub fn windows(kept: &[[String; 2]]) -> Result<Vec<Window>> {
    kept.iter()
        .map(|[first, last]| Ok(Window::new(first.parse()?, last.parse::<Day>()?.next())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_kept_as_first_and_last() {
        let day: Day = "2024-02-28".parse().unwrap();
        let days = [Window::new(day, day.plus(2)), Window::single(day)];
        let kept = inclusive(&days);
        assert_eq!(
            kept,
            [["2024-02-28", "2024-02-29"], ["2024-02-28", "2024-02-28"]]
        );
        assert_eq!(windows(&kept).unwrap(), days);
    }

    #[test]
    fn a_selection_is_read_as_it_was_written() {
        let kept = r#"[{"tenant": "acme", "template": "event", "days": [["2024-01-01", "2024-01-31"]]},
            {"tenant": "zenith", "template": "event", "days": []}]"#;
        let pairs = read(kept).unwrap();
        assert_eq!(pairs[0].days[0].len(), 31);
        assert_eq!(
            (pairs[1].tenant.as_str(), pairs[1].days.len()),
            ("zenith", 0)
        );
        assert!(read(r#"{"tenant": "acme"}"#).is_err());
    }
}
