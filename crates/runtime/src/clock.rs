//! The only place that reads a clock. Domain code is given `now`; it never asks for it.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Wall-clock time in milliseconds since the Unix epoch. For what people and other machines see.
#[must_use]
pub fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this function is the clock's owner")]
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds since boot, time spent suspended included. Never steps back, so leases are measured with it:
/// a laptop that slept for an hour knows that its lease is an hour old.
#[must_use]
pub fn boot_ms() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}

/// RFC 3339 in UTC with milliseconds, as the API and the logs show times.
#[must_use]
pub fn to_rfc3339(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_never_steps_back() {
        let first = boot_ms();
        assert!(boot_ms() >= first);
    }

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        assert_eq!(to_rfc3339(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
    }
}
