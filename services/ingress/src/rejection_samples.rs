//! Which refused requests are shown to their source's owner: a few a second, whatever comes.
//!
//! Sources share slots by their id, so the table is of one size; two sources in one slot share its
//! allowance.

use std::sync::atomic::{AtomicU64, Ordering};

use hookrail_domain::Millis;
use hookrail_domain::ids::SourceId;

/// Samples of one slot in one second.
const SAMPLES_PER_SECOND: u64 = 10;
/// Slots.
const SLOTS: usize = 1024;
/// Bits of a slot that count; the others are the second.
const COUNT_BITS: u32 = 8;

/// The allowances of this second.
pub(crate) struct RejectionSamples(Vec<AtomicU64>);

impl RejectionSamples {
    pub(crate) fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Whether a refusal of `source` at `now` is one to show.
    pub(crate) fn take(&self, source: SourceId, now: Millis) -> bool {
        let second = now.unsigned_abs() / 1000;
        let slot = &self.0[(source.as_u128() % SLOTS as u128) as usize];
        let next = |state: u64| {
            let is_now = state >> COUNT_BITS == second;
            let count = if is_now {
                state & ((1 << COUNT_BITS) - 1)
            } else {
                0
            };
            (count < SAMPLES_PER_SECOND).then_some(second << COUNT_BITS | (count + 1))
        };
        slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_are_shown_of_a_source_and_other_sources_have_their_own() {
        let samples = RejectionSamples::new();
        let of = |id, now| {
            (0..100)
                .filter(|_| samples.take(SourceId::from_u128(id), now))
                .count()
        };
        assert_eq!(of(1, 5_000), 10);
        assert_eq!(of(1, 5_999), 0);
        assert_eq!(of(2, 5_999), 10);
        assert_eq!(of(1, 6_000), 10);
    }
}
