//! How statements about many days say which of them are settled, and how days come back: as ranges, put together by the
//! server, so that an answer grows with gaps and not with days.
//!
//! In these fragments `u` is a unit, and `a` a pair that is asked about.

use crate::pg::{Row, ToSql};
use crate::template::Template;
use crate::unit::{Day, TenantName, Window};

/// A pair that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct AskedPair<'a> {
    pub tenant: &'a TenantName,
    pub template: &'a Template,
    /// The days that should be there.
    pub days: Option<Window>,
}

/// Pairs as the parameters `$1` to `$5` of [`ASKED`].
pub struct AskedColumns<'a> {
    tenants: Vec<&'a str>,
    templates: Vec<&'a str>,
    lookbacks: Vec<i32>,
    from: Vec<Day>,
    to: Vec<Day>,
}

impl<'a> AskedColumns<'a> {
    pub fn of(pairs: &[AskedPair<'a>]) -> AskedColumns<'a> {
        // A range that ends where it begins is empty.
        let nowhere = Day::from_pg_days(0);
        let bound = |of: fn(Window) -> Day| {
            let bounds = pairs.iter().map(|pair| pair.days.map_or(nowhere, of));
            bounds.collect()
        };
        let names = pairs
            .iter()
            .map(|pair| (pair.tenant.as_str(), pair.template.name.as_str()));
        let (tenants, templates) = names.unzip();
        AskedColumns {
            tenants,
            templates,
            lookbacks: pairs.iter().map(|pair| pair.template.lookback()).collect(),
            from: bound(|days| days.from),
            to: bound(|days| days.to),
        }
    }

    /// With `more` parameters after them.
    pub fn params<'p>(&'p self, more: &[&'p (dyn ToSql + Sync)]) -> Vec<&'p (dyn ToSql + Sync)> {
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![
            &self.tenants,
            &self.templates,
            &self.lookbacks,
            &self.from,
            &self.to,
        ];
        params.extend(more);
        params
    }
}

/// SQL: the pairs, numbered by `n` from 1.
pub const ASKED: &str = "unnest($1::text[], $2::text[], $3::integer[], $4::date[], $5::date[]) \
     WITH ORDINALITY AS a (tenant, template, lookback, from_day, to_day, n)";

/// SQL: the unit is settled, as [`Template::is_settled`](crate::template::Template::is_settled) has it.
pub const SETTLED: &str = "coalesce(u.checked_on >= u.day + 1 + a.lookback, false)";

/// SQL: its file holds its rows.
pub const LANDED: &str = "(u.object IS NOT NULL AND coalesce(u.object_digest = u.digest, false))";

/// SQL: the unit's days of a group, as a multirange; null when there are none.
pub const RANGES: &str = "range_agg(daterange(u.day, u.day + 1))";

/// SQL: the unit is overdue on the date `today`, as [`Template::is_overdue`](crate::template::Template::is_overdue) has it.
pub fn overdue(today: &str) -> String {
    format!(
        "NOT {SETTLED} AND {today} > u.day + 1 + CASE WHEN u.checked_on > u.day THEN a.lookback ELSE 0 END"
    )
}

/// SQL: the ranges of a multirange as an array of days, the first and the end of each, in order: what [`windows`] reads.
pub fn bounds(multirange: &str) -> String {
    format!(
        "ARRAY(SELECT bound FROM unnest({multirange}) AS r, LATERAL (VALUES (lower(r)), (upper(r))) AS b (bound) \
         ORDER BY bound)"
    )
}

/// The ranges of a column of [`bounds`].
pub fn windows(row: &Row, column: usize) -> Vec<Window> {
    let bounds: Vec<Day> = row.get(column);
    let ranges = bounds.chunks_exact(2);
    ranges
        .map(|range| Window::new(range[0], range[1]))
        .collect()
}
