//! Guesses at entity rules, from the names and values in a payload: where the entities may be, what may
//! identify them and what may be their title. Guesses only: nothing is ever taken from here by itself.
//!
//! An id has to be there, and another one, in every entity of the payload; where no single member is such a
//! one, two together may be. What is the same in all of the source's last payloads comes last.

mod entity_paths;
mod names;
mod scalars;
mod unique_ids;

use crate::json::Json;
use crate::jsonpath::JsonPath;

/// Guesses of one kind.
const MAX_GUESSES: usize = 8;
/// Entities of one payload that are compared.
const MAX_COMPARED: usize = 1_000;

/// Guesses for a payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// Where entities may be, the outer ones first.
    pub entity_paths: Vec<String>,
    /// What may identify the entities at the path asked for, or at the first guess: a path, or a list of two.
    pub unique_ids: Vec<Json>,
    /// What people may know them by.
    pub titles: Vec<String>,
}

impl Suggestions {
    /// As the API shows them.
    pub fn to_json(&self) -> Json {
        let texts = |texts: &[String]| {
            texts
                .iter()
                .map(|text| Json::from(text.as_str()))
                .collect::<Json>()
        };
        Json::from([
            ("entity_paths", texts(&self.entity_paths)),
            ("unique_ids", self.unique_ids.iter().cloned().collect()),
            ("titles", texts(&self.titles)),
        ])
    }
}

/// Guesses for `payload`, given the source's other last payloads; ids and titles for the entities at `path`,
/// or at the first guess.
pub fn suggest(payload: &Json, others: &[Json], path: Option<&JsonPath>) -> Suggestions {
    let mut entity_paths = entity_paths::entity_paths(payload);
    entity_paths.truncate(MAX_GUESSES);
    let first = entity_paths.first().and_then(|path| JsonPath::parse(path).ok());
    let Some(path) = path.or(first.as_ref()) else {
        return Suggestions {
            entity_paths,
            ..Suggestions::default()
        };
    };
    let entities = entities_at(payload, path);
    let of_others: Vec<Vec<&Json>> = others.iter().map(|other| entities_at(other, path)).collect();
    let mut unique_ids = unique_ids::unique_ids(&entities, &of_others);
    unique_ids.truncate(MAX_GUESSES);
    let mut titles = entities.first().map(|entity| titles(entity)).unwrap_or_default();
    titles.truncate(MAX_GUESSES);
    Suggestions {
        entity_paths,
        unique_ids,
        titles,
    }
}

/// The entities at a path: a list that is found stands for its items, as in the extraction.
fn entities_at<'a>(payload: &'a Json, path: &JsonPath) -> Vec<&'a Json> {
    let found = path.select(payload).unwrap_or_default();
    let parts = found.into_iter().flat_map(|node| match node {
        Json::Array(items) => items.as_slice(),
        node => std::slice::from_ref(node),
    });
    parts
        .filter(|part| part.as_object().is_some())
        .take(MAX_COMPARED)
        .collect()
}

fn titles(entity: &Json) -> Vec<String> {
    let mut found: Vec<(usize, usize, String)> = scalars::scalars(entity)
        .into_iter()
        .filter(|scalar| scalar.value.as_str().is_some_and(|text| !text.is_empty()))
        .filter_map(|scalar| Some((scalar.depth, names::title_rank(&scalar.name)?, scalar.path)))
        .collect();
    found.sort();
    found.into_iter().map(|(_, _, path)| path).collect()
}

#[cfg(test)]
mod tests;
