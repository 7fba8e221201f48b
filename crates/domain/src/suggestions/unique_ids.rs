//! What may identify entities: what every one of them has, and each another.

use super::{names, scalars::scalars};
use crate::json::Json;
use crate::jsonpath::JsonPath;
use std::collections::HashSet;

/// Members that are tried as one half of an id of two.
const FIRST_HALVES: usize = 6;
/// Members that are tried as the other half.
const SECOND_HALVES: usize = 24;
/// Ids of two that are guessed.
const MAX_PAIRS: usize = 4;
/// Payloads with entities, beside the one looked at, from which on it counts that an id is the same in all.
const TELLING_PAYLOADS: usize = 2;

/// Guesses, the best first: a path, or a list of two where no single one will do.
pub(super) fn unique_ids(entities: &[&Json], others: &[Vec<&Json>]) -> Vec<Json> {
    let candidates = candidates(entities);
    let mut single: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| candidate.rank.is_some() && are_unique(&candidate.values))
        .collect();
    single.sort_by_key(|candidate| {
        let same = is_same_everywhere(candidate, others);
        (same, candidate.depth, candidate.rank)
    });
    if !single.is_empty() {
        return single.iter().map(|one| Json::from(one.text.as_str())).collect();
    }
    pairs(&candidates)
}

/// A scalar that every entity has.
struct Candidate {
    text: String,
    path: JsonPath,
    depth: usize,
    /// How telling its name is; `None` = it says nothing.
    rank: Option<usize>,
    /// Its value in each entity.
    values: Vec<String>,
}

fn candidates(entities: &[&Json]) -> Vec<Candidate> {
    let Some(first) = entities.first() else {
        return Vec::new();
    };
    let of_first = scalars(first)
        .into_iter()
        .filter(|scalar| scalar.value.as_bool().is_none());
    of_first
        .filter_map(|scalar| {
            let path = JsonPath::parse(&scalar.path).ok()?;
            Some(Candidate {
                values: values(&path, entities)?,
                rank: names::id_rank(&scalar.name),
                depth: scalar.depth,
                text: scalar.path,
                path,
            })
        })
        .collect()
}

/// The value in each entity; `None` where one of them has none.
fn values(path: &JsonPath, entities: &[&Json]) -> Option<Vec<String>> {
    let path = path.plain()?;
    entities
        .iter()
        .map(|entity| path.find(entity)?.scalar_text())
        .collect()
}

fn are_unique<T: std::hash::Hash + Eq>(values: &[T]) -> bool {
    let mut seen = HashSet::with_capacity(values.len());
    values.iter().all(|value| seen.insert(value))
}

/// Whether all payloads have one and the same value of it: that is rather a shop's id than an order's.
fn is_same_everywhere(candidate: &Candidate, others: &[Vec<&Json>]) -> bool {
    let [only] = candidate.values.as_slice() else {
        return false;
    };
    let mut telling = 0;
    for entities in others.iter().filter(|entities| !entities.is_empty()) {
        telling += 1;
        let same =
            values(&candidate.path, entities).is_some_and(|values| values.iter().all(|value| value == only));
        if !same {
            return false;
        }
    }
    telling >= TELLING_PAYLOADS
}

/// Two that are unique together, one of them at least by its name.
fn pairs(candidates: &[Candidate]) -> Vec<Json> {
    let mut firsts: Vec<&Candidate> = candidates.iter().filter(|one| one.rank.is_some()).collect();
    firsts.sort_by_key(|one| (one.depth, one.rank));
    let mut seconds: Vec<&Candidate> = candidates.iter().collect();
    seconds.sort_by_key(|one| (one.rank.is_none(), one.depth));
    let mut found: Vec<[&str; 2]> = Vec::new();
    for first in firsts.into_iter().take(FIRST_HALVES) {
        for second in seconds.iter().take(SECOND_HALVES) {
            let pair = [first.text.as_str(), second.text.as_str()];
            let is_new = first.text != second.text && !found.iter().any(|[a, b]| [*b, *a] == pair);
            let values: Vec<_> = first.values.iter().zip(&second.values).collect();
            if is_new && are_unique(&values) {
                found.push(pair);
            }
            if found.len() == MAX_PAIRS {
                return lists(&found);
            }
        }
    }
    lists(&found)
}

fn lists(pairs: &[[&str; 2]]) -> Vec<Json> {
    pairs
        .iter()
        .map(|pair| pair.iter().map(|path| Json::from(*path)).collect())
        .collect()
}
