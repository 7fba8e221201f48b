//! What has to change so that the definitions are as a file says: decided from what is there and what is wanted.
//!
//! A field that a file doesn't mention has its default. Secrets can't be read back: they are compared by their
//! hints, and one that a file doesn't mention stays as it is.

use hookrail_domain::json::{Json, Members};

use crate::definition_kind::Kind;

/// A definition as the service has it.
#[derive(Clone, Debug)]
pub(crate) struct Existing {
    pub(crate) id: String,
    pub(crate) etag: Option<String>,
    /// Without what the service adds.
    pub(crate) document: Json,
}

/// What happens to one definition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Create,
    /// The merge patch, and what it changes.
    Update {
        patch: Json,
        changes: Vec<Change>,
    },
    Delete,
    Keep,
}

/// A field that gets another value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) field: String,
    pub(crate) from: Json,
    pub(crate) to: Json,
}

/// What becomes of an existing definition. `written` is the file's, `completed` the same with all defaults.
pub(crate) fn update(kind: Kind, existing: &Json, written: &Json, completed: &Json, secrets: bool) -> Action {
    let (mut patch, mut changes) = (Members::new(), Vec::new());
    let fields = completed.as_object().into_iter().flatten();
    for (field, wanted) in fields {
        let current = existing.get(field).unwrap_or(&Json::Null);
        let says = written.get(field).unwrap_or(&Json::Null);
        let rewrites = secrets && has_new_secret(kind, field, says, wanted);
        let before = changes.len();
        compare(field, current, wanted, &mut changes);
        if rewrites && changes.len() == before {
            changes.push(Change {
                field: field.clone(),
                from: Json::from("a secret"),
                to: Json::from("the file's"),
            });
        }
        if changes.len() > before {
            patch.insert(field.clone(), merge_patch(current, says));
        }
    }
    match changes.is_empty() {
        true => Action::Keep,
        false => Action::Update {
            patch: Json::Object(patch),
            changes,
        },
    }
}

/// Notes what differs, field by field.
fn compare(at: &str, current: &Json, wanted: &Json, changes: &mut Vec<Change>) {
    if is_same(current, wanted) {
        return;
    }
    match (current, wanted) {
        (Json::Object(a), Json::Object(b)) if !is_secret(current) && !is_secret(wanted) => {
            let added = b.iter().filter(|(name, _)| !a.contains_key(*name));
            for (name, value) in a.iter().chain(added) {
                let before = a.get(name).map_or(&Json::Null, |_| value);
                let after = b.get(name).unwrap_or(&Json::Null);
                compare(&format!("{at}.{name}"), before, after, changes);
            }
        }
        _ => changes.push(Change {
            field: at.to_owned(),
            from: current.clone(),
            to: wanted.clone(),
        }),
    }
}

fn is_same(current: &Json, wanted: &Json) -> bool {
    match (current, wanted) {
        // A secret that the service made, or that somebody set: the file leaves it alone.
        (current, Json::Null) if is_secret(current) => true,
        (Json::Array(items), Json::Array(none)) if none.is_empty() && items.iter().any(is_secret) => true,
        (Json::Object(_), Json::Object(_)) if is_secret(current) && is_secret(wanted) => {
            let kept = wanted.get("id").filter(|id| !id.is_null());
            match kept {
                Some(id) => current.get("id") == Some(id),
                None => current.get("hint") == wanted.get("hint"),
            }
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            let all = a.keys().chain(b.keys());
            let null = &Json::Null;
            let of = |members: &Members, name: &String| members.get(name).unwrap_or(null).clone();
            all.into_iter().all(|name| is_same(&of(a, name), &of(b, name)))
        }
        (current, wanted) => current.equals(wanted),
    }
}

/// What a read shows in the place of a secret.
fn is_secret(value: &Json) -> bool {
    let names = ["id", "hint", "expires_at"];
    value
        .as_object()
        .is_some_and(|members| members.len() == 3 && names.iter().all(|name| members.contains_key(*name)))
}

/// Whether the file gives a secret's value in this field.
fn has_new_secret(kind: Kind, _field: &str, written: &Json, completed: &Json) -> bool {
    match (written, completed) {
        // What isn't read by the definition's rules hides no secret among its strings.
        _ if kind == Kind::EventTypes => false,
        (Json::String(_), completed) => is_secret(completed),
        (Json::Array(a), Json::Array(b)) => a.iter().zip(b).any(|(a, b)| has_new_secret(kind, "", a, b)),
        (Json::Object(a), Json::Object(_)) if !is_secret(completed) => a.iter().any(|(name, value)| {
            completed
                .get(name)
                .is_some_and(|completed| has_new_secret(kind, name, value, completed))
        }),
        _ => false,
    }
}

/// The merge patch (RFC 7396) that makes `written` of `current`: members that are not written go back to their
/// defaults, but for secrets.
fn merge_patch(current: &Json, written: &Json) -> Json {
    let (Json::Object(before), Json::Object(after)) = (current, written) else {
        return written.clone();
    };
    if is_secret(current) {
        return written.clone();
    }
    let mut patch = Members::new();
    for (name, value) in before {
        let holds_secret =
            is_secret(value) || value.as_array().is_some_and(|items| items.iter().any(is_secret));
        if !after.contains_key(name) && !holds_secret {
            patch.insert(name.clone(), Json::Null);
        }
    }
    for (name, value) in after {
        patch.insert(
            name.clone(),
            merge_patch(before.get(name).unwrap_or(&Json::Null), value),
        );
    }
    Json::Object(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        text.parse().unwrap()
    }

    fn planned(existing: &str, written: &str) -> Action {
        let written = json(written);
        let completed = Kind::Destinations.completed(&written).unwrap();
        let existing = Kind::Destinations.completed(&json(existing)).unwrap();
        update(Kind::Destinations, &existing, &written, &completed, false)
    }

    fn check(existing: &str, written: &str, patch: Option<&str>) {
        let expected = patch.map(json);
        let found = match planned(existing, written) {
            Action::Update { patch, .. } => Some(patch),
            other => {
                assert_eq!(other, Action::Keep, "{written}");
                None
            }
        };
        assert_eq!(found, expected, "{written}");
    }

    const URL: &str = r#""name":"crm","url":"https://a.example/""#;

    #[test]
    fn what_is_the_same_is_kept_and_what_is_not_said_has_its_default() {
        check(&format!("{{{URL}}}"), &format!("{{{URL}}}"), None);
        check(
            &format!(r#"{{{URL},"timeout_ms":5000}}"#),
            &format!("{{{URL}}}"),
            Some(r#"{"timeout_ms":null}"#),
        );
        check(
            &format!("{{{URL}}}"),
            &format!(r#"{{{URL},"retry":{{"max_attempts":3}}}}"#),
            Some(
                r#"{"retry":{"initial_ms":null,"multiplier":null,"max_ms":null,"jitter":null,"give_up_after_ms":null,"permanent_statuses":null,"max_attempts":3}}"#,
            ),
        );
    }

    #[test]
    fn another_kind_of_authentication_takes_nothing_of_the_old_one_but_no_secret_is_shown() {
        let existing =
            format!(r#"{{{URL},"auth":{{"type":"basic","username":"u","password":"hunter2hunter2"}}}}"#);
        let written = format!(r#"{{{URL},"auth":{{"type":"bearer","token":"0123456789abcdef"}}}}"#);
        let Action::Update { patch, changes } = planned(&existing, &written) else {
            panic!("it differs")
        };
        let auth = patch.get("auth").unwrap();
        assert_eq!(auth.get("token").and_then(Json::as_str), Some("0123456789abcdef"));
        assert_eq!(auth.get("username"), Some(&Json::Null));
        let shown: String = changes
            .iter()
            .map(|change| format!("{}{}", change.from, change.to))
            .collect();
        assert!(
            !shown.contains("0123456789ab") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn secrets_are_compared_by_their_hints_and_rewritten_when_asked() {
        let with = |token: &str| format!(r#"{{{URL},"auth":{{"type":"bearer","token":"{token}"}}}}"#);
        check(&with("0123456789abcdef"), &with("0123456789abcdef"), None);
        assert!(matches!(
            planned(&with("0123456789abcdef"), &with("0123456789abcdeg")),
            Action::Update { .. }
        ));
        let written = json(&with("0123456789abcdef"));
        let completed = Kind::Destinations.completed(&written).unwrap();
        let again = update(Kind::Destinations, &completed, &written, &completed, true);
        assert!(matches!(again, Action::Update { .. }));
    }
}
