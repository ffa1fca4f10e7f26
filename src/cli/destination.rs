//! Where the rows of a load go: `--land`, `--no-land`, `--to warehouse|parquet|both`, or the configuration.

use crate::engine::window::landing::To;
use crate::error::{Error, Result};
use std::str::FromStr;

/// The flags of commands that load.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "Where rows go")]
pub struct DestinationArgs {
    /// Also write Parquet files; same as `--to both` [default: `landing.enabled`]
    #[arg(long, conflicts_with = "no_land")]
    land: bool,
    /// Write no files, even with `landing.enabled`; same as `--to warehouse`
    #[arg(long)]
    no_land: bool,
}

/// `warehouse`, `parquet` or `both`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination(pub To);

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Destination> {
        match text {
            "warehouse" => Ok(Destination(To::Warehouse)),
            "parquet" => Ok(Destination(To::Parquet)),
            "both" => Ok(Destination(To::Both)),
            _ => Err(Error::usage("use `warehouse`, `parquet` or `both`")),
        }
    }
}

impl DestinationArgs {
    /// What the flags and `--to` choose; `None` leaves it to the configuration.
    ///
    /// # Errors
    /// Both choose.
    pub fn choose(self, to: Option<Destination>) -> Result<Option<To>> {
        let flag = if self.land {
            Some(To::Both)
        } else {
            self.no_land.then_some(To::Warehouse)
        };
        if flag.is_some() && to.is_some() {
            return Err(Error::usage(
                "`--to warehouse|parquet|both` cannot be combined with `--land` or `--no-land`",
            )
            .with_hint("leave one of them out; `--land` is the same as `--to both`"));
        }
        Ok(flag.or(to.map(|to| to.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_rows_go_is_chosen_once() {
        let both = Some(Destination(To::Both));
        let land = DestinationArgs {
            land: true,
            no_land: false,
        };
        assert_eq!(land.choose(None).unwrap(), Some(To::Both));
        assert_eq!(
            DestinationArgs::default().choose(both).unwrap(),
            Some(To::Both)
        );
        assert_eq!(DestinationArgs::default().choose(None).unwrap(), None);
        assert!(land.choose(both).is_err());
        assert!("2024-01-01".parse::<Destination>().is_err());
    }
}
