//! What changed in an entity: its members whose values differ, with their values before.

use crate::json::{Json, Members};

/// The members of `before` that `after` lacks or has with another value, and those that are new in
/// `after` as null. What aren't both objects have no members.
pub fn changed_members(before: &Json, after: &Json) -> Members {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return Members::new();
    };
    let changed = before
        .iter()
        .filter(|(name, value)| after.get(*name) != Some(*value));
    let new = after.keys().filter(|name| !before.contains_key(*name));
    let mut members: Members = changed
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    members.extend(new.map(|name| (name.clone(), Json::Null)));
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, expected: &str) {
        let members = changed_members(&before.parse().unwrap(), &after.parse().unwrap());
        assert_eq!(Json::Object(members).to_compact_string(), expected);
    }

    #[test]
    fn changed_removed_and_new_members_are_named_with_their_values_before() {
        check(
            r#"{"a":1,"b":2,"c":3}"#,
            r#"{"a":1,"b":20,"d":4}"#,
            r#"{"b":2,"c":3,"d":null}"#,
        );
    }

    #[test]
    fn a_number_written_otherwise_is_a_change() {
        check(r#"{"a":1.10}"#, r#"{"a":1.1}"#, r#"{"a":1.10}"#);
    }

    #[test]
    fn what_has_no_members_has_none_that_changed() {
        check("[1]", r#"{"a":1}"#, "{}");
    }
}
