//! How full the journal's stream is. Nearly full, attempts are reported without what was said in them, so
//! that there is room for what came of them; and the journal's writers catch up sooner.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hookrail_broker::Broker;
use prometheus::IntCounter;

/// From here on, in percent of the stream's size.
const NEARLY_FULL_PERCENT: u64 = 80;
/// How often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What was seen last.
pub(crate) struct JournalFill {
    nearly_full: AtomicBool,
    /// Attempts that were reported without their details.
    left_out: IntCounter,
}

impl JournalFill {
    pub(crate) fn new(left_out: IntCounter) -> Self {
        Self {
            nearly_full: AtomicBool::new(false),
            left_out,
        }
    }

    /// Whether the next attempt is to be reported without its details; counts it if so.
    pub(crate) fn leaves_out(&self) -> bool {
        let nearly_full = self.nearly_full.load(Ordering::Relaxed);
        if nearly_full {
            self.left_out.inc();
        }
        nearly_full
    }

    fn note(&self, bytes: u64, max_bytes: u64) {
        let nearly_full = u128::from(bytes) * 100 >= u128::from(max_bytes) * u128::from(NEARLY_FULL_PERCENT);
        if self.nearly_full.swap(nearly_full, Ordering::Relaxed) != nearly_full {
            tracing::warn!(bytes, max_bytes, nearly_full, "the journal's stream");
        }
    }
}

/// Looks until it is stopped. Where the broker gives no answer, the last one stands.
pub(crate) async fn watch(broker: Broker, fill: Arc<JournalFill>) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match broker.journal_state().await {
            Ok(state) => fill.note(state.bytes, state.max_bytes),
            Err(error) => tracing::debug!(%error, "the journal's stream could not be looked at"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_left_out_and_counted_from_80_per_cent_on() {
        let left_out = IntCounter::new("left_out", "Left out.").unwrap();
        let fill = JournalFill::new(left_out.clone());
        for (bytes, expected) in [(799, false), (800, true), (1_000, true), (799, false)] {
            fill.note(bytes, 1_000);
            assert_eq!(fill.leaves_out(), expected, "{bytes}");
        }
        assert_eq!(left_out.get(), 2);
    }
}
