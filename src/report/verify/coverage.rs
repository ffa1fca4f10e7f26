//! The coverage of days for people.

use crate::engine::verify::coverage::Coverage;
use crate::report::failure::days;
use crate::report::numbers::count;
use crate::report::table::Sheet;
use std::fmt::Write as _;

/// Which days are loaded: a line per pair, then the gaps.
pub fn coverage(found: &[Coverage]) -> String {
    let mut sheet = Sheet::new(&[
        "tenant",
        "template",
        "from",
        "to",
        ">loaded",
        ">missing",
        ">unsettled",
    ]);
    for pair in found {
        let (from, to) = pair.expected.map_or_else(Default::default, |days| {
            (days.from.to_string(), days.to.plus(-1).to_string())
        });
        sheet.row([
            pair.tenant.to_string(),
            pair.template.to_string(),
            from,
            to,
            count(pair.days.loaded),
            count(pair.days.missing() as u64),
            count(pair.days.unsettled),
        ]);
    }
    let mut text = sheet.render();
    for pair in found {
        let name = format!("{}/{}", pair.tenant, pair.template);
        if pair.first_day.is_none() {
            let _ = write!(
                text,
                "\n{name}: the first day is not known, because nothing was ever loaded"
            );
        } else if !pair.days.missing_days.is_empty() {
            let _ = write!(
                text,
                "\n{name}: not loaded: {}",
                days(&pair.days.missing_days)
            );
        }
        if !pair.days.overdue_days.is_empty() {
            let _ = write!(
                text,
                "\n{name}: not compared with the source since they ended, or since late rows were due: {}",
                days(&pair.days.overdue_days)
            );
        }
    }
    text
}
