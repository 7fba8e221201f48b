//! The scalars of an entity with their paths, nested ones too; lists are no part of what one is.

use crate::json::Json;
use crate::jsonpath::{PlainPath, PlainStep};

/// Objects inside of each other that are looked into.
const MAX_DEPTH: usize = 3;
/// Scalars of an entity that are looked at.
const MAX_SCALARS: usize = 200;

/// A scalar of an entity.
#[derive(Debug)]
pub(super) struct Scalar<'a> {
    /// Its path from the entity.
    pub(super) path: String,
    /// Its name: that of the element, where it is the text of one.
    pub(super) name: String,
    /// Objects around it, without the entity.
    pub(super) depth: usize,
    pub(super) value: &'a Json,
}

/// The scalars of an entity, the outer ones first.
pub(super) fn scalars(entity: &Json) -> Vec<Scalar<'_>> {
    let mut found = Vec::new();
    let mut level = vec![(Vec::new(), entity)];
    for depth in 0..MAX_DEPTH {
        let mut below = Vec::new();
        for (path, node) in level {
            for (name, value) in node.as_object().into_iter().flatten() {
                let mut path: Vec<PlainStep> = path.clone();
                path.push(PlainStep::Name(name.clone()));
                match value {
                    Json::Object(_) => below.push((path, value)),
                    Json::Array(_) => {}
                    value if found.len() < MAX_SCALARS => found.push(scalar(path, depth, value)),
                    _ => return found,
                }
            }
        }
        level = below;
    }
    found
}

fn scalar(path: Vec<PlainStep>, depth: usize, value: &Json) -> Scalar<'_> {
    let names = path.iter().rev().filter_map(|step| match step {
        PlainStep::Name(name) => Some(name.as_str()),
        PlainStep::Index(_) => None,
    });
    let mut names = names.peekable();
    // The text of an XML element with attributes.
    let is_text = names.next_if(|name| *name == "#text").is_some() && names.peek().is_some();
    Scalar {
        name: names.next().unwrap_or("#text").to_owned(),
        depth: depth - usize::from(is_text),
        path: PlainPath::from_steps(path).to_text(),
        value,
    }
}
