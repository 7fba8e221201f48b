//! What a source's owner says of telling repetitions from new events.

use super::{Dedupe, QueryParam};
use crate::validation::Faults;

/// Longest time for which a sender's id may be remembered, seconds: 30 days.
const MAX_WINDOW_S: u32 = 30 * 24 * 3600;

impl Dedupe {
    pub(super) fn check(&self, query_params: &[QueryParam], faults: &mut Faults) {
        let has_key = !self.enabled || self.key.is_some();
        faults.require(has_key, "/dedupe/key", "is needed to tell repetitions");
        if let Some(key) = &self.key {
            key.check("/dedupe/key", faults);
            let has_default = |name: &String| {
                let mut params = query_params.iter();
                params.any(|param| param.name == *name && param.default.is_some())
            };
            faults.require(
                !self.enabled || !key.query.as_ref().is_some_and(has_default),
                "/dedupe/key/query",
                "names a parameter with a default: all requests without it would be one",
            );
        }
        let window = (1..=MAX_WINDOW_S).contains(&self.window_s);
        faults.require(window, "/dedupe/window_s", "has to be 1 to 2592000");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::KeyPlace;

    #[test]
    fn a_dedupe_that_can_not_be_meant_is_refused_by_field() {
        let check = |dedupe: Dedupe, expected: &[&str]| {
            let mut faults = Faults::default();
            let with_default = QueryParam {
                name: "id".to_owned(),
                default: Some("0".to_owned()),
            };
            dedupe.check(&[with_default], &mut faults);
            let errors = faults.finish().err().unwrap_or_default();
            let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
            assert_eq!(pointers, expected);
        };
        let by_header = |header: &str| {
            Some(KeyPlace {
                header: Some(header.to_owned()),
                ..KeyPlace::default()
            })
        };
        let of = |enabled, key, window_s| Dedupe {
            enabled,
            key,
            window_s,
        };
        check(Dedupe::default(), &[]);
        check(of(true, by_header("X-GitHub-Delivery"), 1), &[]);
        check(of(true, None, 60), &["/dedupe/key"]);
        check(of(false, by_header("a b"), 60), &["/dedupe/key/header"]);
        check(of(true, Some(KeyPlace::default()), 60), &["/dedupe/key"]);
        let by_query = |name: &str| {
            Some(KeyPlace {
                query: Some(name.to_owned()),
                ..KeyPlace::default()
            })
        };
        check(of(true, by_query("id"), 60), &["/dedupe/key/query"]);
        check(of(true, by_query("other"), 60), &[]);
        check(of(true, by_header("x"), 0), &["/dedupe/window_s"]);
        check(of(true, by_header("x"), 2_592_001), &["/dedupe/window_s"]);
    }
}
