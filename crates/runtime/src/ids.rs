//! Makes new ULIDs: 48 bits of time and 80 random bits. What an id means and how it is written is the domain's.

use crate::random;

/// The random part of a ULID.
const RANDOM_BITS: u32 = 80;

/// A new ULID made at `now_ms` (milliseconds since the Unix epoch), with 80 random bits.
#[must_use]
pub fn new_ulid(now_ms: i64) -> u128 {
    from_parts(now_ms, u128::from_be_bytes(random::bytes::<16>()))
}

/// A new id of any kind that is made from a ULID: `new_id::<SourceId>(now_ms())`.
#[must_use]
pub fn new_id<T: From<u128>>(now_ms: i64) -> T {
    T::from(new_ulid(now_ms))
}

/// 80 random bits in the low end: for ids whose random part carries something, as an event's does.
#[must_use]
pub fn random_bits() -> u128 {
    u128::from_be_bytes(random::bytes::<16>()) >> (128 - RANDOM_BITS)
}

fn from_parts(now_ms: i64, random: u128) -> u128 {
    // Times before 1970 don't occur; 48 bits last until the year 10889.
    let time = u128::from(now_ms.max(0).unsigned_abs()) & ((1 << 48) - 1);
    (time << RANDOM_BITS) | (random & ((1 << RANDOM_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        assert!(from_parts(2, 0) > from_parts(1, u128::MAX));
    }

    #[test]
    fn the_time_is_in_the_top_48_bits() {
        assert_eq!(new_ulid(1_700_000_000_000) >> RANDOM_BITS, 1_700_000_000_000);
    }
}
