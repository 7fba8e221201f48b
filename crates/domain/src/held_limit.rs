//! Which paused sources hold as much as they may, so that no more is accepted for them. Pure: what is held, and
//! who is told, is known elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::SourceId;

/// How far below the limit a source has to come before more is accepted for it, in percent of it: so that it
/// doesn't open and close with every event.
pub const REOPEN_PERCENT: u64 = 90;

/// The sources that are full now, given the bytes that each holds and those that were full. `max_bytes` 0 = no
/// limit.
pub fn full_sources(
    held: &BTreeMap<SourceId, u64>,
    were_full: &BTreeSet<SourceId>,
    max_bytes: u64,
) -> BTreeSet<SourceId> {
    let reopens_below = max_bytes / 100 * REOPEN_PERCENT;
    let is_full = |source: &SourceId, bytes: u64| match were_full.contains(source) {
        true => bytes >= reopens_below,
        false => bytes >= max_bytes,
    };
    let full = held
        .iter()
        .filter(|(source, bytes)| max_bytes > 0 && **bytes > 0 && is_full(source, **bytes));
    full.map(|(source, _)| *source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_source_opens_again_only_below_the_lower_limit() {
        let source = SourceId::from_u128(1);
        let check = |bytes: u64, max_bytes: u64, was_full: bool, expected: bool| {
            let were_full = was_full.then_some(source).into_iter().collect();
            let full = full_sources(&BTreeMap::from([(source, bytes)]), &were_full, max_bytes);
            assert_eq!(
                full.contains(&source),
                expected,
                "{bytes} of {max_bytes}, {was_full}"
            );
        };
        for (bytes, was_full, expected) in [
            (0, false, false),
            (999, false, false),
            (1_000, false, true),
            (1_000, true, true),
            (950, true, true),
            (900, true, true),
            (899, true, false),
            (0, true, false),
        ] {
            check(bytes, 1_000, was_full, expected);
        }
        check(u64::MAX, 0, false, false);
        check(u64::MAX, 0, true, false);
        check(u64::MAX, u64::MAX, false, true);
        check(0, 50, true, false);
    }

    #[test]
    fn a_source_that_holds_nothing_any_more_is_not_full() {
        let gone = BTreeSet::from([SourceId::from_u128(1)]);
        assert!(full_sources(&BTreeMap::new(), &gone, 1_000).is_empty());
    }
}
