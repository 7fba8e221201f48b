//! Plain paths: names and indices from the root, followed without a budget, also while reading.

use super::program::{Query, Selector};
use crate::json::Json;

/// A path of names and non-negative indices; it finds one node at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainPath(Vec<PlainStep>);

/// One step of a plain path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainStep {
    Name(String),
    Index(usize),
}

impl PlainPath {
    pub(super) fn of(query: &Query) -> Option<Self> {
        let step = |selectors: &[Selector]| match selectors {
            [Selector::Name(name)] => Some(PlainStep::Name(name.clone())),
            [Selector::Index(index)] => usize::try_from(*index).ok().map(PlainStep::Index),
            _ => None,
        };
        query
            .segments
            .iter()
            .map(|segment| {
                if segment.descendant {
                    None
                } else {
                    step(&segment.selectors)
                }
            })
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// The path with these steps.
    pub fn from_steps(steps: Vec<PlainStep>) -> Self {
        Self(steps)
    }

    pub fn steps(&self) -> &[PlainStep] {
        &self.0
    }

    /// The node at this path.
    pub fn find<'a>(&self, root: &'a Json) -> Option<&'a Json> {
        self.0.iter().try_fold(root, |node, step| match step {
            PlainStep::Name(name) => node.get(name),
            PlainStep::Index(index) => node.as_array()?.get(*index),
        })
    }

    /// This path with another one's steps after it.
    pub fn join(&self, below: &PlainPath) -> PlainPath {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// The path as JSONPath, names in brackets.
    pub fn to_text(&self) -> String {
        let mut text = String::from("$");
        for step in &self.0 {
            match step {
                PlainStep::Index(index) => text.push_str(&format!("[{index}]")),
                PlainStep::Name(name) if is_shorthand(name) => {
                    text.push('.');
                    text.push_str(name);
                }
                PlainStep::Name(name) => {
                    text.push_str(&format!("[{}]", Json::from(name.as_str()).to_compact_string()));
                }
            }
        }
        text
    }
}

/// Whether a name may follow a dot (the ASCII part of RFC 9535, section 2.5.1.1).
fn is_shorthand(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
