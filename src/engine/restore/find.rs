//! Finds out which days have a file in which place.

use crate::error::{At, Result};
use crate::landing::{Landing, ListingFilter};
use crate::unit::{Day, SchemaName, TemplateName, Window};
use std::collections::BTreeMap;

/// For each day the places (by position) that have a file of it, in order of preference.
pub type DayPlaces = BTreeMap<Day, Vec<usize>>;

/// The files of several places, by template and tenant's schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundFiles {
    pub units: BTreeMap<(TemplateName, SchemaName), DayPlaces>,
    /// URLs of files in the days' folders that are not Dayhaul's.
    pub foreign: Vec<String>,
}

impl FoundFiles {
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    pub fn days_of(&self, template: &TemplateName, schema: &SchemaName) -> Option<&DayPlaces> {
        self.units.get(&(template.clone(), schema.clone()))
    }
}

/// The places as a sentence names them.
pub fn urls(places: &[Landing]) -> String {
    let urls: Vec<&str> = places.iter().map(Landing::url).collect();
    urls.join(" or ")
}

/// Checks that every place can be read, before any of them is listed.
///
/// # Errors
/// A place that does not exist or cannot be read.
pub async fn check_readable(places: &[Landing]) -> Result<()> {
    for landing in places {
        let checked = landing.check_readable().await;
        let checked = checked.at(|| format!("`{}`", landing.url()));
        // Continuing without this place would silently miss the files that only it has.
        checked.map_err(|e| {
            if places.len() > 1 && e.hint().is_none() {
                e.with_hint("remove this `--from` to restore from the other places only")
            } else {
                e
            }
        })?;
    }
    Ok(())
}

/// Lists the files of `templates` (empty: all) and `days` (`None`: all) in every place.
///
/// # Errors
/// A place that cannot be read.
pub async fn find(
    places: &[Landing],
    templates: &[TemplateName],
    days: Option<Window>,
) -> Result<FoundFiles> {
    let mut found = FoundFiles::default();
    for (place, landing) in places.iter().enumerate() {
        let wanted = match templates {
            [] => vec![None],
            named => named.iter().cloned().map(Some).collect(),
        };
        for template in wanted {
            let selection = ListingFilter {
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
