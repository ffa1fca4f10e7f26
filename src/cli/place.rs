//! Where a load's rows go: `--land`, `--no-land`, `--to warehouse|parquet|both`, or what the configuration says.

use crate::config::Settings;
use crate::engine::window::landing::To;
use crate::error::{Error, Result};
use std::str::FromStr;

/// The flags of commands that load.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct LandArgs {
    /// Land days as Parquet, too; as `--to both` [default: `landing.enabled`]
    #[arg(long, conflicts_with = "no_land")]
    land: bool,
    /// Land nothing, whatever `landing.enabled` says; as `--to warehouse`
    #[arg(long)]
    no_land: bool,
}

/// `warehouse`, `parquet` or `both`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub To);

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Place> {
        match text {
            "warehouse" => Ok(Place(To::Warehouse)),
            "parquet" => Ok(Place(To::Parquet)),
            "both" => Ok(Place(To::Both)),
            _ => Err(Error::usage("neither `warehouse`, `parquet` nor `both`")),
        }
    }
}

impl LandArgs {
    /// What the flags say; `None` leaves it to the configuration.
    ///
    /// # Errors
    /// They say two things.
    pub fn said(self, place: Option<Place>) -> Result<Option<To>> {
        let flag = match (self.land, self.no_land) {
            (true, _) => Some(To::Both),
            (_, true) => Some(To::Warehouse),
            _ => None,
        };
        match (flag, place) {
            (Some(_), Some(_)) => Err(Error::usage(
                "where rows go is said in two ways: by `--to`, and by `--land` or `--no-land`",
            )),
            (flag, place) => Ok(flag.or(place.map(|place| place.0))),
        }
    }
}

/// Where rows go when `said` is what the command line says.
pub(super) fn resolve(said: Option<To>, settings: &Settings) -> To {
    said.unwrap_or_else(|| To::configured(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_rows_go_is_said_in_one_way() {
        let both = Some(Place(To::Both));
        let land = LandArgs {
            land: true,
            no_land: false,
        };
        assert_eq!(land.said(None).unwrap(), Some(To::Both));
        assert_eq!(LandArgs::default().said(both).unwrap(), Some(To::Both));
        assert_eq!(LandArgs::default().said(None).unwrap(), None);
        assert!(land.said(both).is_err());
        assert!("2024-01-01".parse::<Place>().is_err());
    }
}
