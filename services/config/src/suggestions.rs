//! Guesses at entity rules, from the names in a payload: where the entity may be, what may identify
//! it and what may be its title. Guesses only: nothing is ever taken from here by itself.

use std::collections::VecDeque;

use hookrail_domain::json::{Json, Members};
use hookrail_domain::jsonpath::JsonPath;

/// Nodes looked at of one payload.
const MAX_NODES: usize = 5_000;
/// Levels looked at.
const MAX_DEPTH: usize = 6;
/// Guesses of one kind.
const MAX_GUESSES: usize = 8;

/// Names that identify, the most telling first.
const ID_NAMES: [&str; 7] = ["id", "uuid", "guid", "key", "number", "code", "email"];
/// Endings of names that identify.
const ID_ENDINGS: [&str; 3] = ["_id", "id", "_key"];
/// Names that people know things by, the most telling first.
const TITLE_NAMES: [&str; 9] = [
    "title",
    "name",
    "display_name",
    "full_name",
    "subject",
    "label",
    "email",
    "username",
    "summary",
];

/// Guesses for a payload: `entity_paths`, and `unique_ids` and `titles` within the entity at `path`, or
/// within the first guess.
pub(crate) fn suggest(payload: &Json, path: Option<&JsonPath>) -> Json {
    let paths = entity_paths(payload);
    let first = paths.first().and_then(|path| JsonPath::parse(path).ok());
    let entity = path.or(first.as_ref()).and_then(|path| entity_at(payload, path));
    let (ids, titles) = entity
        .map(|members| (identifying(members), titling(members)))
        .unwrap_or_default();
    let texts = |texts: Vec<String>| {
        texts
            .into_iter()
            .take(MAX_GUESSES)
            .map(Json::from)
            .collect::<Json>()
    };
    Json::from([
        ("entity_paths", texts(paths)),
        ("unique_ids", texts(ids)),
        ("titles", texts(titles)),
    ])
}

/// Objects, and lists of objects, that have something that identifies; the outer ones first.
fn entity_paths(payload: &Json) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = VecDeque::from([(payload, "$".to_owned(), 0)]);
    for _ in 0..MAX_NODES {
        let Some((node, path, depth)) = open.pop_front() else {
            break;
        };
        if as_entity(node).is_some_and(|members| !identifying(members).is_empty()) {
            found.push(path.clone());
        }
        let (Json::Object(members), true) = (node, depth < MAX_DEPTH) else {
            continue;
        };
        let below = members.iter().filter(|(_, value)| !value.is_scalar());
        open.extend(below.map(|(name, value)| (value, format!("{path}{}", step(name)), depth + 1)));
    }
    found
}

fn entity_at<'a>(payload: &'a Json, path: &JsonPath) -> Option<&'a Members> {
    let nodes = path.select(payload).ok()?;
    as_entity(nodes.first()?)
}

/// An object, or the first one of a list of them.
fn as_entity(node: &Json) -> Option<&Members> {
    match node {
        Json::Array(items) => items.first()?.as_object(),
        node => node.as_object(),
    }
}

fn identifying(members: &Members) -> Vec<String> {
    let is_key = |value: &Json| value.scalar_text().is_some() && value.as_bool().is_none();
    let named = ID_NAMES
        .iter()
        .filter(|name| members.get(**name).is_some_and(is_key))
        .map(|name| (*name).to_owned());
    let ends = |name: &str| {
        ID_ENDINGS
            .iter()
            .any(|ending| name.to_ascii_lowercase().ends_with(ending))
    };
    let by_ending = members
        .iter()
        .filter(|(name, value)| !ID_NAMES.contains(&name.as_str()) && ends(name) && is_key(value));
    named
        .chain(by_ending.map(|(name, _)| name.clone()))
        .map(|name| format!("${}", step(&name)))
        .collect()
}

fn titling(members: &Members) -> Vec<String> {
    let is_text = |name: &str| {
        members
            .get(name)
            .and_then(Json::as_str)
            .is_some_and(|text| !text.is_empty())
    };
    TITLE_NAMES
        .iter()
        .filter(|name| is_text(name))
        .map(|name| format!("${}", step(name)))
        .collect()
}

/// A member's step of a JSONPath (RFC 9535, section 2.5.1).
fn step(name: &str) -> String {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if is_plain {
        format!(".{name}")
    } else {
        format!("[{}]", Json::from(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &str, path: Option<&str>, expected: &str) {
        let path = path.map(|path| JsonPath::parse(path).unwrap());
        assert_eq!(
            suggest(&payload.parse().unwrap(), path.as_ref()).to_compact_string(),
            expected,
            "{payload}"
        );
    }

    #[test]
    fn the_entity_its_id_and_its_title_are_guessed() {
        check(
            r#"{"event":"user","data":{"user":{"name":"Ann","id":1,"shop_id":2,"email":"a@b"}}}"#,
            None,
            r#"{"entity_paths":["$.data.user"],"unique_ids":["$.id","$.email","$.shop_id"],"titles":["$.name","$.email"]}"#,
        );
    }

    #[test]
    fn a_list_of_objects_is_many_entities() {
        check(
            r#"[{"uuid":"a"},{"uuid":"b"}]"#,
            None,
            r#"{"entity_paths":["$"],"unique_ids":["$.uuid"],"titles":[]}"#,
        );
    }

    #[test]
    fn names_that_are_no_plain_steps_are_quoted() {
        check(
            r#"{"the order":{"order-id":7}}"#,
            Some("$['the order']"),
            r#"{"entity_paths":["$[\"the order\"]"],"unique_ids":["$[\"order-id\"]"],"titles":[]}"#,
        );
    }

    #[test]
    fn a_payload_without_structure_gives_no_guess() {
        check("1", None, r#"{"entity_paths":[],"unique_ids":[],"titles":[]}"#);
    }
}
