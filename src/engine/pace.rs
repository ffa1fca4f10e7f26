//! How many days a window should hold.

/// Days beyond which a longer window saves nothing: measured at the source, 30-day windows are no faster than 7-day ones.
const MAX_DAYS: usize = 31;

/// What is known of a pair's bytes per day, and the window length that follows.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    /// Bytes per day from the ledger, for want of better.
    history: Option<u64>,
    seen_bytes: u64,
    seen_days: u64,
    /// Days at most, after a window was too large or was cancelled by recovery.
    cap: Option<usize>,
}

impl Pace {
    pub fn new(history: Option<u64>) -> Pace {
        Pace {
            history,
            ..Pace::default()
        }
    }

    pub fn saw(&mut self, bytes: u64, days: usize) {
        self.seen_bytes += bytes;
        self.seen_days += days as u64;
    }

    /// A window of `days` was too much: the next ones are at most half as long.
    pub fn slow_down(&mut self, days: usize) {
        let half = (days / 2).max(1);
        self.cap = Some(self.cap.map_or(half, |cap| cap.min(half)));
    }

    /// Days for the next window, aiming at three quarters of `budget` bytes, so that an uneven day still fits. One day
    /// until anything is known.
    pub fn days(&self, budget: usize) -> usize {
        let per_day = match (self.seen_days, self.history) {
            (0, None) => return 1,
            (0, Some(history)) => history,
            (days, _) => self.seen_bytes / days,
        };
        let aim = (budget as u64) / 4 * 3;
        let days = usize::try_from(aim / per_day.max(1)).unwrap_or(MAX_DAYS);
        days.clamp(1, MAX_DAYS).min(self.cap.unwrap_or(MAX_DAYS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn the_first_window_probes_a_day_unless_there_is_history() {
        assert_eq!(Pace::new(None).days(16 * MIB), 1);
        assert_eq!(Pace::new(Some(1 << 20)).days(16 * MIB), 12);
    }

    #[test]
    fn what_was_seen_outweighs_history() {
        let mut pace = Pace::new(Some(1));
        pace.saw(8 << 20, 2);
        assert_eq!(pace.days(16 * MIB), 3);
        pace.saw(800 << 20, 1);
        assert_eq!(pace.days(16 * MIB), 1);
    }

    #[test]
    fn slowing_down_ends_at_single_days() {
        let mut pace = Pace::new(Some(1));
        assert_eq!(pace.days(16 * MIB), 31);
        for expected in [15, 7, 3, 1, 1] {
            pace.slow_down(pace.days(16 * MIB));
            assert_eq!(pace.days(16 * MIB), expected);
        }
    }
}
