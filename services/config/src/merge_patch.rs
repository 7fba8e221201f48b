//! JSON Merge Patch (RFC 7386) on exact JSON: numbers stay as they were written.

use hookrail_domain::json::{Json, Members};

/// Members whose `type` says which others there are, so another `type` replaces the whole object.
const TAGGED: [&str; 2] = ["auth", "signing"];

/// What `target` is after `patch`. A member that is null goes, which means: back to the default.
pub(crate) fn merge(target: Json, patch: &Json) -> Json {
    let Json::Object(changes) = patch else {
        return patch.clone();
    };
    let mut members = match target {
        Json::Object(members) => members,
        _ => Members::new(),
    };
    for (name, change) in changes {
        if change.is_null() {
            members.shift_remove(name);
            continue;
        }
        let before = members.get(name).cloned().unwrap_or_default();
        let before = if TAGGED.contains(&name.as_str()) && is_other_type(&before, change) {
            Json::Null
        } else {
            before
        };
        members.insert(name.clone(), merge(before, change));
    }
    Json::Object(members)
}

fn is_other_type(before: &Json, change: &Json) -> bool {
    change
        .get("type")
        .is_some_and(|wanted| before.get("type") != Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, patch: &str, expected: &str) {
        let merged = merge(target.parse().unwrap(), &patch.parse().unwrap());
        assert_eq!(merged.to_compact_string(), expected);
    }

    #[test]
    fn members_are_replaced_added_and_removed() {
        check(
            r#"{"a":"b","c":{"d":"e","f":"g"}}"#,
            r#"{"a":"z","c":{"f":null}}"#,
            r#"{"a":"z","c":{"d":"e"}}"#,
        );
        check(r#"{"a":[1,2]}"#, r#"{"a":[1.10]}"#, r#"{"a":[1.10]}"#);
        check(r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#);
        check(
            r#"{"a":1}"#,
            r#"{"b":9007199254740993}"#,
            r#"{"a":1,"b":9007199254740993}"#,
        );
    }

    #[test]
    fn another_type_of_authentication_keeps_nothing_of_the_one_before() {
        check(
            r#"{"auth":{"type":"header","name":"A"}}"#,
            r#"{"auth":{"type":"none"}}"#,
            r#"{"auth":{"type":"none"}}"#,
        );
        check(
            r#"{"auth":{"type":"header","name":"A","value":1}}"#,
            r#"{"auth":{"type":"header","name":"B"}}"#,
            r#"{"auth":{"type":"header","name":"B","value":1}}"#,
        );
    }
}
