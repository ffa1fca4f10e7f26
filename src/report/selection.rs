//! What a run was for, for people.

use crate::catalog::runs::selected::SelectedPair;
use crate::report::failure;
use crate::report::numbers::{count, counted};
use crate::report::table::cut;
use crate::unit::{TemplateName, TenantName, Window};
use std::collections::BTreeSet;

/// At most this many pairs that share their days are named.
const PAIRS_SHOWN: usize = 8;

/// At most this many lines of pairs with their days are shown.
const LINES_SHOWN: usize = 20;

/// `acme/flights, bolt/flights`, `3 tenants × 2 templates` or `12 pairs`: the first of them that says it in `width`.
pub fn in_short(pairs: &[SelectedPair], width: usize) -> String {
    let names = names(pairs.iter());
    if pairs.len() == 1 || names.chars().count() <= width {
        return cut(&names, width);
    }
    let tenants: BTreeSet<&TenantName> = pairs.iter().map(|pair| &pair.tenant).collect();
    let templates: BTreeSet<&TemplateName> = pairs.iter().map(|pair| &pair.template).collect();
    if tenants.len() * templates.len() != pairs.len() {
        return counted(pairs.len() as u64, "pair");
    }
    let one_tenant = tenants.first().filter(|_| tenants.len() == 1);
    let one_template = templates.first().filter(|_| templates.len() == 1);
    let tenants = counted(tenants.len() as u64, "tenant");
    let templates = counted(templates.len() as u64, "template");
    let named = format!(
        "{} × {}",
        one_tenant.map_or(tenants.as_str(), |name| name.as_str()),
        one_template.map_or(templates.as_str(), |name| name.as_str())
    );
    if named.chars().count() <= width {
        named
    } else {
        format!("{tenants} × {templates}")
    }
}

/// A line for the pairs that share their days: `acme/flights, bolt/flights 2024-01-01 … 2024-01-31 (31 days)`.
pub fn lines(pairs: &[SelectedPair]) -> Vec<String> {
    let groups = by_days(pairs);
    let mut lines: Vec<String> = groups.iter().take(LINES_SHOWN).map(line).collect();
    let rest = groups.iter().skip(LINES_SHOWN);
    let left: usize = rest.map(|(_, pairs)| pairs.len()).sum();
    if left > 0 {
        let pairs = counted(left as u64, "more pair");
        lines.push(format!("and {pairs}; `--json` lists them all"));
    }
    lines
}

/// The pairs that share their days, in the order in which they come.
fn by_days(pairs: &[SelectedPair]) -> Vec<(Vec<Window>, Vec<&SelectedPair>)> {
    let mut groups: Vec<(Vec<Window>, Vec<&SelectedPair>)> = Vec::new();
    for pair in pairs {
        let days = failure::merged(&pair.days);
        match groups.iter_mut().find(|(shared, _)| *shared == days) {
            Some((_, with)) => with.push(pair),
            None => groups.push((days, vec![pair])),
        }
    }
    groups
}

fn line((days, pairs): &(Vec<Window>, Vec<&SelectedPair>)) -> String {
    let mut line = names(pairs.iter().take(PAIRS_SHOWN).copied());
    if pairs.len() > PAIRS_SHOWN {
        line += &format!(", … ({} pairs)", count(pairs.len() as u64));
    }
    if days.is_empty() {
        return line;
    }
    format!("{line} {}", failure::days(days))
}

fn names<'a>(pairs: impl Iterator<Item = &'a SelectedPair>) -> String {
    let names: Vec<String> = pairs
        .map(|pair| format!("{}/{}", pair.tenant, pair.template))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(tenant: &str, template: &str, days: &[(&str, &str)]) -> SelectedPair {
        let window = |(first, last): &(&str, &str)| {
            Window::new(
                first.parse().unwrap(),
                last.parse::<crate::unit::Day>().unwrap().next(),
            )
        };
        SelectedPair {
            tenant: TenantName::parse(tenant).unwrap(),
            template: TemplateName::parse(template).unwrap(),
            days: days.iter().map(window).collect(),
        }
    }

    fn product(tenants: usize, templates: usize) -> Vec<SelectedPair> {
        let all = (0..tenants).flat_map(|t| (0..templates).map(move |x| (t, x)));
        all.map(|(t, x)| pair(&format!("tenant{t}"), &format!("template{x}"), &[]))
            .collect()
    }

    #[test]
    fn a_selection_is_named_as_precisely_as_fits() {
        let two = [pair("acme", "flights", &[]), pair("bolt", "flights", &[])];
        for (pairs, text) in [
            (two.to_vec(), "acme/flights, bolt/flights"),
            (product(1, 1), "tenant0/template0"),
            (product(3, 2), "3 tenants × 2 templates"),
            (product(3, 1), "3 tenants × template0"),
            (product(1, 3), "tenant0 × 3 templates"),
            (product(3, 4)[1..].to_vec(), "11 pairs"),
            (Vec::new(), ""),
        ] {
            assert_eq!(in_short(&pairs, 26), text);
        }
        let long = "a".repeat(40);
        let one = [pair(&long, "flights", &[])];
        assert_eq!(in_short(&one, 10), "aaaaaaaaa…");
        let two = [pair(&long, "flights", &[]), pair(&long, "hotels", &[])];
        assert_eq!(in_short(&two, 26), "1 tenant × 2 templates");
    }

    #[test]
    fn pairs_that_share_their_days_share_a_line() {
        let january = [("2024-01-01", "2024-01-31")];
        let pairs = [
            pair("acme", "flights", &january),
            pair("acme", "hotels", &[]),
            // The same days, in pieces.
            pair(
                "bolt",
                "flights",
                &[("2024-01-01", "2024-01-10"), ("2024-01-11", "2024-01-31")],
            ),
            pair(
                "bolt",
                "hotels",
                &[("2024-01-03", "2024-01-03"), ("2024-01-05", "2024-01-06")],
            ),
        ];
        assert_eq!(
            lines(&pairs),
            [
                "acme/flights, bolt/flights 2024-01-01 … 2024-01-31 (31 days)",
                "acme/hotels",
                "bolt/hotels 2024-01-03, 2024-01-05 … 2024-01-06 (3 days)",
            ]
        );
    }

    #[test]
    fn hundreds_of_pairs_are_not_all_named() {
        let shared = lines(&product(100, 3));
        assert_eq!(shared.len(), 1);
        assert!(shared[0].ends_with(", … (300 pairs)"), "{shared:?}");
        let first: crate::unit::Day = "2024-01-01".parse().unwrap();
        let mut own = product(25, 1);
        for (pair, n) in own.iter_mut().zip(0..) {
            pair.days = vec![Window::single(first.plus(n))];
        }
        let own = lines(&own);
        assert_eq!(own.len(), LINES_SHOWN + 1);
        assert_eq!(
            own[LINES_SHOWN],
            "and 5 more pairs; `--json` lists them all"
        );
    }
}
