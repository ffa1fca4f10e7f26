//! How many days a window should hold.

/// Days of a window that is held in memory, at most.
const MAX_DAYS: usize = 31;
/// Days of a window that streams, at most. Measured at the source, with a query of nine tables: per row, windows of 92 days
/// cost 0.93 of those of 31, and these 0.88 of those of 7.
const MAX_DAYS_STREAMED: usize = 92;
/// A window that streams may hold so many times the bytes of one that is held in memory. What it does not save in memory it
/// would lose in a retry, which begins it again.
const STREAMED: usize = 4;

/// What is known about a pair's bytes per day, and the window length that follows.
#[derive(Debug, Clone, Default)]
pub struct WindowSize {
    /// Bytes per day from the ledger, used until a window of this run was measured.
    history: Option<u64>,
    recorded_bytes: u64,
    recorded_days: u64,
    /// Days at most, after a window was too large or was cancelled by recovery.
    cap: Option<usize>,
}

impl WindowSize {
    pub fn new(history: Option<u64>) -> WindowSize {
        WindowSize {
            history,
            ..WindowSize::default()
        }
    }

    pub fn record(&mut self, bytes: u64, days: usize) {
        self.recorded_bytes += bytes;
        self.recorded_days += days as u64;
    }

    /// A window of `days` was too much: the next ones are at most half as long.
    pub fn shorten(&mut self, days: usize) {
        let half = (days / 2).max(1);
        self.cap = Some(self.cap.map_or(half, |cap| cap.min(half)));
    }

    /// How many days `bytes` are, at least one; one until anything is known.
    pub fn days_of(&self, bytes: u64) -> usize {
        let days = self.per_day().map_or(1, |per_day| bytes / per_day.max(1));
        usize::try_from(days).unwrap_or(usize::MAX).max(1)
    }

    /// Bytes per day, when anything is known.
    pub fn per_day(&self) -> Option<u64> {
        match self.recorded_days {
            0 => self.history,
            days => Some(self.recorded_bytes / days),
        }
    }

    /// Days for the next window, aiming at three quarters of `budget` bytes, so that an uneven day still fits; more when it
    /// `streams`. One day until anything is known.
    pub fn days(&self, budget: usize, streams: bool) -> usize {
        let (budget, most) = if streams {
            (budget.saturating_mul(STREAMED), MAX_DAYS_STREAMED)
        } else {
            (budget, MAX_DAYS)
        };
        let Some(per_day) = self.per_day() else {
            return 1;
        };
        let aim = (budget as u64) / 4 * 3;
        let days = usize::try_from(aim / per_day.max(1)).unwrap_or(most);
        days.clamp(1, most).min(self.cap.unwrap_or(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn the_first_window_probes_a_day_unless_there_is_history() {
        assert_eq!(WindowSize::new(None).days(16 * MIB, false), 1);
        assert_eq!(WindowSize::new(Some(1 << 20)).days(16 * MIB, false), 12);
    }

    #[test]
    fn what_was_measured_outweighs_history() {
        let mut size = WindowSize::new(Some(1));
        size.record(8 << 20, 2);
        assert_eq!(size.days(16 * MIB, false), 3);
        size.record(800 << 20, 1);
        assert_eq!(size.days(16 * MIB, false), 1);
    }

    #[test]
    fn a_window_that_streams_is_longer() {
        assert_eq!(WindowSize::new(Some(1 << 20)).days(16 * MIB, true), 48);
        assert_eq!(WindowSize::new(Some(1)).days(16 * MIB, true), 92);
        assert_eq!(WindowSize::new(None).days(16 * MIB, true), 1);
    }

    #[test]
    fn shortening_ends_at_single_days() {
        let mut size = WindowSize::new(Some(1));
        assert_eq!(size.days(16 * MIB, false), 31);
        for expected in [15, 7, 3, 1, 1] {
            size.shorten(size.days(16 * MIB, false));
            assert_eq!(size.days(16 * MIB, false), expected);
        }
    }
}
