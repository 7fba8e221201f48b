//! Where entities may be: objects, and lists of objects, that have something that identifies.

use super::{names, scalars::scalars};
use crate::json::Json;
use crate::jsonpath::{PlainPath, PlainStep};
use std::collections::VecDeque;

/// Nodes looked at of one payload.
const MAX_NODES: usize = 5_000;
/// Levels looked at; a list and its items are one.
const MAX_DEPTH: usize = 7;

/// Paths to entities, the outer ones first.
pub(super) fn entity_paths(payload: &Json) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = VecDeque::from([(payload, "$".to_owned(), 0)]);
    for _ in 0..MAX_NODES {
        let Some((node, path, depth)) = open.pop_front() else {
            break;
        };
        let (one, inner) = match node {
            Json::Array(items) => (
                items.iter().find(|item| item.as_object().is_some()),
                format!("{path}[*]"),
            ),
            node => (Some(node), path.clone()),
        };
        let Some(one) = one else { continue };
        if identifies(one) {
            found.push(path);
        }
        if depth == MAX_DEPTH {
            continue;
        }
        for (name, value) in one.as_object().into_iter().flatten() {
            if !value.is_scalar() {
                open.push_back((value, format!("{inner}{}", step(name)), depth + 1));
            }
        }
    }
    found
}

/// Whether one of its own scalars may be its id.
fn identifies(entity: &Json) -> bool {
    scalars(entity).iter().any(|scalar| {
        let is_key = scalar.value.scalar_text().is_some() && scalar.value.as_bool().is_none();
        scalar.depth == 0 && is_key && names::id_rank(&scalar.name).is_some()
    })
}

/// A member's step of a path.
fn step(name: &str) -> String {
    let path = PlainPath::from_steps(vec![PlainStep::Name(name.to_owned())]).to_text();
    path.trim_start_matches('$').to_owned()
}
