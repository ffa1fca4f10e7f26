//! Which days lie in which place.

use crate::error::{At, Result};
use crate::landing::{Landing, Selection};
use crate::unit::{Day, SchemaName, TemplateName, Window};
use std::collections::BTreeMap;

/// The places (by their position) that have a file of each day, in order.
pub type Days = BTreeMap<Day, Vec<usize>>;

/// The files of several places, by template and tenant's schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub units: BTreeMap<(TemplateName, SchemaName), Days>,
    /// URLs of files that lie among the days and are none.
    pub foreign: Vec<String>,
}

impl Found {
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    pub fn days_of(&self, template: &TemplateName, schema: &SchemaName) -> Option<&Days> {
        self.units.get(&(template.clone(), schema.clone()))
    }
}

/// Looks whether every place is there, before anything is asked of one.
///
/// # Errors
/// A place that is not there or cannot be read.
pub async fn check_readable(places: &[Landing]) -> Result<()> {
    for landing in places {
        let checked = landing.check_readable().await;
        let checked = checked.at(|| format!("`{}`", landing.url()));
        // Going on by itself would miss, without a word, a file that only this place has.
        checked.map_err(|e| match places.len() > 1 && e.hint().is_none() {
            true => e.with_hint("leave it out to restore from the other places alone"),
            false => e,
        })?;
    }
    Ok(())
}

/// Lists the places: files of `templates` (all for none), of the days that are asked for.
///
/// # Errors
/// A place that cannot be read.
pub async fn find(
    places: &[Landing],
    templates: &[TemplateName],
    days: Option<Window>,
) -> Result<Found> {
    let mut found = Found::default();
    for (place, landing) in places.iter().enumerate() {
        let wanted = match templates {
            [] => vec![None],
            named => named.iter().cloned().map(Some).collect(),
        };
        for template in wanted {
            let selection = Selection {
                template,
                schema: None,
                days,
            };
            let listing = landing.list(&selection).await?;
            for listed in listing.units {
                let object = listed.object;
                let unit = (object.template, object.schema);
                let days = found.units.entry(unit).or_default();
                days.entry(object.day).or_default().push(place);
            }
            let url = |path: String| format!("{}/{path}", landing.url());
            found.foreign.extend(listing.foreign.into_iter().map(url));
        }
    }
    Ok(found)
}
