//! Filters: condition groups over a payload and its request, compiled once, with one decision code
//! for processing and for the preview that explains it.
//!
//! `{"all": […]}`, `{"any": […]}` and `{"not": …}` nest; a leaf looks at a `path`, a `header`, a
//! `query` parameter or the `method` (`"method": true`), with an `op` and a `value`. A condition
//! holds when any node it finds holds; values of different types never hold and are never an error.
//! `ne` and `not_in` are the opposites of `eq` and `in`: they hold when no node found is equal, so
//! also when there is none.

mod condition;
mod evaluate;
mod operator;
mod parse;

pub use condition::{ConditionResult, Place};
pub use evaluate::{FilterInput, Verdict};
pub use operator::Operator;
pub use parse::{MAX_CONDITIONS, MAX_FILTER_DEPTH, MAX_VALUES};

use crate::json::Json;
use crate::validation::{FieldError, first_fault};
use condition::Condition;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// A compiled filter. Cheap to clone; equal when the definitions are.
#[derive(Clone)]
pub struct Filter {
    definition: Arc<Json>,
    root: Arc<Group>,
}

/// A condition or a group of them.
#[derive(Debug)]
enum Group {
    All(Vec<Group>),
    Any(Vec<Group>),
    Not(Box<Group>),
    Leaf(Condition),
}

impl Filter {
    /// Compiles a definition; what is wrong is added to `errors`, with pointers below `pointer`.
    pub fn parse(definition: &Json, pointer: &str, errors: &mut Vec<FieldError>) -> Option<Self> {
        let root = parse::parse(definition, pointer, errors)?;
        Some(Self {
            definition: Arc::new(definition.clone()),
            root: Arc::new(root),
        })
    }

    /// The definition as it was written.
    pub fn definition(&self) -> &Json {
        &self.definition
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.definition == other.definition
    }
}

impl Eq for Filter {}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.definition)
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.definition.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let definition = Json::deserialize(deserializer)?;
        let mut errors = Vec::new();
        let filter = Self::parse(&definition, "", &mut errors);
        filter.ok_or_else(|| serde::de::Error::custom(first_fault(&errors)))
    }
}

#[cfg(test)]
mod tests;
