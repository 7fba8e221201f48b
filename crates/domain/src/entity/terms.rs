//! The terms by which entities are found: of an entity, and of what somebody looks for.
//!
//! A term is a word of the title or of a field's value, the whole unique id, or a field with its exact
//! value. What a search finds is decided here: an entity is found where it has all the terms of one
//! of the search's alternatives. The store keeps a list of entities for each term.

use std::collections::BTreeSet;

use crate::json::{Json, Members};
use crate::partition;

/// Terms of one entity. What comes after is not found; the unique id, each field's own value and the title
/// come first.
pub const MAX_TERMS: usize = 128;
/// Words of what somebody looks for.
pub const MAX_SEARCHED_WORDS: usize = 16;
/// Bytes of what somebody looks for.
pub const MAX_SEARCHED_BYTES: usize = 600;
/// Words of a title.
const TITLE_WORDS: usize = 32;
/// Words of one field's value.
const FIELD_WORDS: usize = 16;
/// Items of one field's list.
const LIST_ITEMS: usize = 16;
/// Bytes of a term; a longer one is its beginning and a hash.
const MAX_TERM_BYTES: usize = 48;
/// Bytes of a long term's beginning.
const BEGINNING_BYTES: usize = 24;
/// Characters of the hash of a long term.
const HASH_CHARACTERS: usize = 20;

/// All terms of an entity.
pub fn of_entity(unique_id: &str, title: Option<&str>, fields: &Members) -> BTreeSet<String> {
    let mut terms = BTreeSet::from([of_id(unique_id)]);
    let own = fields
        .iter()
        .map(|(name, value)| of_field(name, &value.bare_text()));
    let of_title = words(title.unwrap_or_default()).take(TITLE_WORDS);
    let items = fields.iter().flat_map(|(name, value)| items_of(name, value));
    let of_values = fields.values().flat_map(words_of_value);
    for term in own.chain(of_title).chain(items).chain(of_values) {
        if terms.len() == MAX_TERMS {
            break;
        }
        terms.insert(term);
    }
    terms
}

/// The term of a field's exact value: a string bare, anything else as its JSON text.
pub fn of_field(name: &str, value: &str) -> String {
    cut(format!("={name}={value}"))
}

/// What `text` looks for: alternatives, of which one has to hold, each a list of terms that all have to.
/// Either it is a unique id, or its words are words of the title and of fields.
pub fn of_text(text: &str) -> Vec<Vec<String>> {
    let whole = vec![of_id(text.trim())];
    let words: BTreeSet<String> = words(text).take(MAX_SEARCHED_WORDS).collect();
    let words: Vec<String> = words.into_iter().collect();
    if words.is_empty() || words == whole {
        return vec![whole];
    }
    vec![whole, words]
}

/// Whether `text` is short enough to be looked for as a whole.
pub fn is_searchable(text: &str) -> bool {
    text.len() <= MAX_SEARCHED_BYTES && words(text).take(MAX_SEARCHED_WORDS + 1).count() <= MAX_SEARCHED_WORDS
}

/// The term of a unique id.
pub fn of_id(id: &str) -> String {
    cut(id.to_lowercase())
}

/// Runs of letters and digits, in lower case.
fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|character: char| !character.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(|word| cut(word.to_lowercase()))
}

/// A list is found by each of its scalars too.
fn items_of(name: &str, value: &Json) -> Vec<String> {
    let items = value.as_array().unwrap_or_default();
    let scalars = items.iter().filter(|item| item.is_scalar()).take(LIST_ITEMS);
    scalars.map(|item| of_field(name, &item.bare_text())).collect()
}

/// True, false and null are no words: every entity would have them.
fn words_of_value(value: &Json) -> Vec<String> {
    let of_one = |value: &Json| match value {
        Json::String(_) | Json::Number(_) => words(&value.bare_text()).take(FIELD_WORDS).collect(),
        _ => Vec::new(),
    };
    match value {
        Json::Array(items) => items
            .iter()
            .take(LIST_ITEMS)
            .flat_map(of_one)
            .take(FIELD_WORDS)
            .collect(),
        other => of_one(other),
    }
}

fn cut(term: String) -> String {
    if term.len() <= MAX_TERM_BYTES {
        return term;
    }
    let hash = partition::token(partition::hash(&[b"term", term.as_bytes()]));
    let hash = hash.get(..HASH_CHARACTERS).unwrap_or(&hash);
    let end = (0..=BEGINNING_BYTES).rev().find(|at| term.is_char_boundary(*at));
    format!("{}~{hash}", &term[..end.unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &str =
        r#"{"city":"Bad Honnef","n":9007199254740993,"active":true,"tags":["x","Y z"],"o":{"a":1}}"#;

    fn terms() -> BTreeSet<String> {
        let fields: Json = FIELDS.parse().unwrap();
        of_entity(
            "Cus_42",
            Some("Ann-Marie <ann@Example.com>"),
            fields.as_object().unwrap(),
        )
    }

    fn check(text: &str, found: bool) {
        let terms = terms();
        let holds = |all: &Vec<String>| all.iter().all(|term| terms.contains(term));
        assert_eq!(of_text(text).iter().any(holds), found, "{text}");
    }

    #[test]
    fn an_entity_is_found_by_its_id_and_by_words_in_any_case_and_order() {
        for text in [
            "cus_42",
            "CUS_42",
            " Cus_42 ",
            "ann",
            "MARIE ann",
            "ann@example.com",
            "honnef bad",
        ] {
            check(text, true);
        }
        for text in ["9007199254740993", "z", "marie, 9007199254740993"] {
            check(text, true);
        }
        for text in [
            "cus",
            "42",
            "an",
            "ann bob",
            "9007199254740992",
            "true",
            "%",
            "",
            "active",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn a_field_is_found_by_its_exact_value_and_a_list_by_each_of_its_items() {
        let terms = terms();
        let has = |name, value| terms.contains(&of_field(name, value));
        for (name, value) in [
            ("city", "Bad Honnef"),
            ("n", "9007199254740993"),
            ("active", "true"),
        ] {
            assert!(has(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("tags", "x"),
            ("tags", "Y z"),
            ("tags", r#"["x","Y z"]"#),
            ("o", r#"{"a":1}"#),
        ] {
            assert!(has(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("city", "bad honnef"),
            ("city", "Bad"),
            ("tags", "y z"),
            ("town", "Bad Honnef"),
        ] {
            assert!(!has(name, value), "{name} {value}");
        }
    }

    #[test]
    fn terms_are_few_and_short_whatever_the_entity() {
        let long = "wörter ".repeat(500) + &"x".repeat(9_000);
        let fields = (0..64)
            .map(|n| (format!("f{n}"), Json::from(format!("{n} {long}"))))
            .collect();
        let terms = of_entity(&"ä".repeat(256), Some(&long), &fields);
        assert!(terms.len() <= MAX_TERMS);
        assert!(terms.iter().all(|term| term.len() <= MAX_TERM_BYTES));
        let own = of_field("f63", &format!("63 {long}"));
        assert!(terms.contains(&own));
        assert_ne!(own, of_field("f63", &format!("63 {long}y")));
    }

    #[test]
    fn what_is_too_long_to_be_looked_for_is_known() {
        assert!(is_searchable("Ann Marie"));
        assert!(!is_searchable(&"a ".repeat(MAX_SEARCHED_WORDS + 1)));
        assert!(!is_searchable(&"a".repeat(MAX_SEARCHED_BYTES + 1)));
    }
}
