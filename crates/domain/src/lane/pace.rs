//! How fast a destination settles its deliveries: counted, in windows of time.
//!
//! By it a destination that only has much to do is told from one that is slow: what waits for the first
//! may stay in the queue, since it is gone in a moment; what waits for the other is put aside.

use crate::Millis;

/// Length of a window, milliseconds.
const WINDOW_MS: Millis = 250;
/// Windows in which all that waits has to be gone, at the pace of the last.
const WINDOWS: usize = 2;

/// Settlements in the window that runs and in the one before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    since: Millis,
    running: usize,
    before: usize,
}

impl Pace {
    /// Counts a settlement.
    pub(super) fn settled(&mut self, now: Millis) {
        let windows = now.saturating_sub(self.since) / WINDOW_MS;
        if windows != 0 {
            self.before = if windows == 1 { self.running } else { 0 };
            self.running = 0;
            self.since = if windows == 1 { self.since + WINDOW_MS } else { now };
        }
        self.running += 1;
    }

    /// True where `waiting` deliveries will be gone soon. One that has settled nothing lately is not trusted.
    pub(super) fn clears(&self, waiting: usize, now: Millis) -> bool {
        let per_window = match now.saturating_sub(self.since) / WINDOW_MS {
            0 => self.running.max(self.before),
            1 => self.running,
            _ => 0,
        };
        waiting <= WINDOWS * per_window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settled_at: impl IntoIterator<Item = Millis>, now: Millis, clears: usize) {
        let mut pace = Pace::default();
        for at in settled_at {
            pace.settled(at);
        }
        assert!(pace.clears(clears, now), "{clears} at {now}");
        assert!(!pace.clears(clears + 1, now), "{} at {now}", clears + 1);
    }

    #[test]
    fn what_waits_is_gone_soon_at_the_pace_of_the_last_window() {
        check([], 1_000, 0);
        check((0..100).map(|i| 10_000 + i), 10_100, 200);
        check((0..100).map(|i| 10_000 + i), 10_300, 200);
        check((0..100).map(|i| 10_000 + i), 10_500, 0);
        check((0..100).map(|i| 10_000 + i).chain([10_260]), 10_270, 200);
        check((0..100).map(|i| 10_000 + i).chain([10_260]), 10_510, 2);
        check((0..100).map(|i| 10_000 + i).chain([20_000]), 20_001, 2);
    }
}
