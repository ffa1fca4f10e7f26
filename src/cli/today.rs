//! The one place where the date is asked for: commands whose work depends on it take `--today`.

use crate::unit::Day;
use clap::Args;

/// `--today`.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct TodayArgs {
    /// Treat this UTC day as today, YYYY-MM-DD
    #[arg(long, value_name = "D")]
    today: Option<Day>,
}

impl TodayArgs {
    /// The day of `--today`, otherwise today's UTC date.
    pub fn day(self) -> Day {
        self.today.unwrap_or_else(Day::today)
    }
}

#[cfg(test)]
impl From<Day> for TodayArgs {
    fn from(day: Day) -> TodayArgs {
        TodayArgs { today: Some(day) }
    }
}
