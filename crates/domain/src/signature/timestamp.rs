//! The time at which a request was signed, and how far it may be off.

use super::mismatch::Mismatch;
use super::scheme::TimestampUnit;
use crate::Millis;
use crate::render::parse_rfc3339;

impl TimestampUnit {
    /// Reads a time; `None` where it is none.
    pub(super) fn read(self, text: &str) -> Option<Millis> {
        let digits = |text: &str| {
            let is_number = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<i64>().ok()).flatten()
        };
        match self {
            Self::S => digits(text)?.checked_mul(1000),
            Self::Ms => digits(text),
            Self::Rfc3339 => parse_rfc3339(text),
        }
    }
}

/// Refuses a time that is off by more than `tolerance_s` either way; 0 = any will do.
pub(super) fn check(signed_at: Millis, now: Millis, tolerance_s: u32) -> Result<(), Mismatch> {
    let age_ms = now.saturating_sub(signed_at);
    let tolerance_ms = i64::from(tolerance_s) * 1000;
    if tolerance_s == 0 || age_ms.unsigned_abs() <= tolerance_ms.unsigned_abs() {
        Ok(())
    } else if age_ms > 0 {
        Err(Mismatch::Stale {
            age_s: age_ms / 1000,
            tolerance_s,
        })
    } else {
        Err(Mismatch::Ahead {
            ahead_s: -(age_ms / 1000),
            tolerance_s,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_read(unit: TimestampUnit, text: &str, expected: Option<Millis>) {
        assert_eq!(unit.read(text), expected, "{text}");
    }

    #[test]
    fn times_are_read_in_their_unit_only() {
        check_read(TimestampUnit::S, "1732226400", Some(1_732_226_400_000));
        check_read(TimestampUnit::Ms, "1732226400123", Some(1_732_226_400_123));
        check_read(
            TimestampUnit::Rfc3339,
            "2024-11-21T22:00:00.5Z",
            Some(1_732_226_400_500),
        );
        for text in [
            "",
            "-5",
            "+5",
            "1e9",
            "1732226400.0",
            "99999999999999999",
            " 1732226400",
        ] {
            check_read(TimestampUnit::S, text, None);
        }
        check_read(TimestampUnit::Rfc3339, "1732226400", None);
    }

    #[test]
    fn a_time_may_be_off_by_the_tolerance_both_ways_and_no_more() {
        let at = 1_000_000;
        assert_eq!(super::check(at, at + 300_000, 300), Ok(()));
        assert_eq!(super::check(at, at - 300_000, 300), Ok(()));
        let stale = Mismatch::Stale {
            age_s: 400,
            tolerance_s: 300,
        };
        assert_eq!(super::check(at, at + 400_000, 300), Err(stale));
        let ahead = Mismatch::Ahead {
            ahead_s: 400,
            tolerance_s: 300,
        };
        assert_eq!(super::check(at, at - 400_000, 300), Err(ahead));
        assert_eq!(super::check(0, i64::MAX, 0), Ok(()));
    }
}
