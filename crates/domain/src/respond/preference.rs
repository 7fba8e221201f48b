//! What a caller prefers: `Prefer: wait=N` and `Prefer: respond-async` (RFC 7240, sections 4.1 and 4.3).
//! Preferences that are not known are let go, as section 2 wants it.

use crate::Millis;

/// Longest `wait` that is read, seconds: longer than any source waits.
const WAIT_MAX_S: i64 = 3_600;

/// A caller's preferences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preference {
    /// Not to be kept waiting: told at once, or once `wait` is over, where the answer will be.
    pub respond_async: bool,
    /// How long it wants to wait at most, seconds.
    pub wait_s: Option<i64>,
}

impl Preference {
    /// Reads the values of all `Prefer` headers; where one preference comes twice, the first counts
    /// (section 2).
    pub fn read<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut found = Self::default();
        for preference in values.into_iter().flat_map(|value| value.split(',')) {
            // Parameters follow after `;`; neither of the two has any.
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => found.respond_async = true,
                "wait" if found.wait_s.is_none() => found.wait_s = seconds(value),
                _ => {}
            }
        }
        found
    }

    /// How long a caller is kept waiting whose source waits for `timeout_ms`.
    pub fn waits_ms(self, timeout_ms: Millis) -> Millis {
        match (self.wait_s, self.respond_async) {
            (Some(wait_s), _) => timeout_ms.min(wait_s * 1_000),
            (None, true) => 0,
            (None, false) => timeout_ms,
        }
    }

    /// The value of `Preference-Applied` (section 3): of what was carried out as it was asked.
    pub fn applied(self, timeout_ms: Millis, told_where: bool) -> Option<String> {
        let wait = self.wait_s.filter(|wait_s| wait_s * 1_000 <= timeout_ms);
        let wait = wait.map(|wait_s| format!("wait={wait_s}"));
        let at_once = (self.respond_async && told_where).then(|| "respond-async".to_owned());
        let applied: Vec<String> = at_once.into_iter().chain(wait).collect();
        (!applied.is_empty()).then(|| applied.join(", "))
    }
}

fn seconds(value: &str) -> Option<i64> {
    let value = value.trim();
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let digits = bare.unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(
        digits
            .parse()
            .map_or(WAIT_MAX_S, |wait_s: i64| wait_s.min(WAIT_MAX_S)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], respond_async: bool, wait_s: Option<i64>) {
        let expected = Preference {
            respond_async,
            wait_s,
        };
        assert_eq!(Preference::read(values.iter().copied()), expected, "{values:?}");
    }

    #[test]
    fn preferences_are_read_as_the_standard_says() {
        check(&[], false, None);
        check(&["respond-async"], true, None);
        check(&["Respond-Async, WAIT=100"], true, Some(100));
        check(&["wait=10; foo", "wait=20"], false, Some(10));
        check(&["handling=lenient, wait = \"5\""], false, Some(5));
        check(&["wait=99999999999999999999"], false, Some(WAIT_MAX_S));
        for nonsense in [
            "wait",
            "wait=",
            "wait=-1",
            "wait=1.5",
            "wait=soon",
            "waits=3",
            ";",
            ",",
        ] {
            check(&[nonsense], false, None);
        }
    }

    #[test]
    fn a_wait_is_never_longer_than_the_source_s_and_only_what_was_done_is_said_to_be() {
        let read = |value| Preference::read([value]);
        let check = |value, waits_ms, told_where, applied: Option<&str>| {
            let found = read(value);
            assert_eq!(found.waits_ms(30_000), waits_ms, "{value}");
            assert_eq!(found.applied(30_000, told_where).as_deref(), applied, "{value}");
        };
        check("", 30_000, false, None);
        check("wait=2", 2_000, false, Some("wait=2"));
        check("wait=31", 30_000, false, None);
        check("respond-async", 0, true, Some("respond-async"));
        check(
            "respond-async, wait=2",
            2_000,
            true,
            Some("respond-async, wait=2"),
        );
        check("respond-async, wait=2", 2_000, false, Some("wait=2"));
    }
}
