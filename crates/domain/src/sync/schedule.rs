//! When a sync runs: cron patterns of five fields, UTC.

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds, Year};

use crate::Millis;

/// Bytes of a pattern.
const MAX_PATTERN_BYTES: usize = 256;
/// Fields of a pattern: minute, hour, day of month, month, day of week.
const FIELDS: usize = 5;
/// The earliest time that a pattern is tried from: any will do.
const SOME_TIME: Millis = 1_700_000_000_000;

/// Refuses a pattern that can't be read, or whose time never comes.
///
/// # Errors
/// What is wrong, for the person who wrote it.
pub fn check(pattern: &str) -> Result<(), String> {
    let fields = pattern.split_ascii_whitespace().count();
    if fields != FIELDS || pattern.len() > MAX_PATTERN_BYTES {
        return Err("has to have five fields: minute, hour, day of month, month, day of week".to_owned());
    }
    parse(pattern).map_err(|error| format!("is not a cron pattern: {error}"))?;
    match next_after(pattern, SOME_TIME) {
        Some(_) => Ok(()),
        None => Err("names a time that never comes".to_owned()),
    }
}

/// The pattern's first time after `now`; `None` = never.
pub fn next_after(pattern: &str, now: Millis) -> Option<Millis> {
    let from: DateTime<Utc> = DateTime::from_timestamp_millis(now)?;
    let next = parse(pattern).ok()?.find_next_occurrence(&from, false).ok()?;
    Some(next.timestamp_millis())
}

fn parse(pattern: &str) -> Result<croner::Cron, croner::errors::CronError> {
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{format_millis, parse_rfc3339};

    fn check_next(pattern: &str, now: &str, expected: &str) {
        let next = next_after(pattern, parse_rfc3339(now).unwrap());
        assert_eq!(next.map(format_millis).as_deref(), Some(expected), "{pattern}");
    }

    #[test]
    fn the_next_time_is_after_now_in_utc() {
        check_next(
            "*/5 * * * *",
            "2026-11-22T10:04:59.999Z",
            "2026-11-22T10:05:00.000Z",
        );
        check_next(
            "*/5 * * * *",
            "2026-11-22T10:05:00.000Z",
            "2026-11-22T10:10:00.000Z",
        );
        check_next("30 2 * * 1", "2026-11-22T10:00:00Z", "2026-11-23T02:30:00.000Z");
        check_next("0 0 29 2 *", "2026-11-22T10:00:00Z", "2028-02-29T00:00:00.000Z");
    }
}
