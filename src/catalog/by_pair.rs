//! A question about several pairs at once: their names as parameters, and answers in their order.

use crate::unit::PairNames;

/// Tenants and templates, as parameters.
pub fn columns<'a>(pairs: &[PairNames<'a>]) -> (Vec<&'a str>, Vec<&'a str>) {
    let pairs = pairs
        .iter()
        .map(|(tenant, template)| (tenant.as_str(), template.as_str()));
    pairs.unzip()
}

/// Puts what was found of the `n`th pair, from 1.
pub fn put<T>(found: &mut [T], n: i64, value: T) {
    let index = usize::try_from(n - 1).ok();
    if let Some(place) = index.and_then(|index| found.get_mut(index)) {
        *place = value;
    }
}
