//! JSONPath (RFC 9535): parsed and compiled once, evaluated within a budget.
//!
//! The grammar is a library's; the checks of types and limits, and the evaluation over [`Json`], are
//! here, since no library bounds what a path may cost. Patterns run in linear time.

mod budget;
mod compile;
mod evaluate;
mod pattern;
mod plain;
mod program;
mod text;

pub use budget::{Budget, BudgetExceeded, MAX_RESULTS, MAX_STEPS};
pub(crate) use pattern::{Pattern, compile_search};
pub use plain::{PlainPath, PlainStep};
pub use text::{MAX_DESCENDANTS, MAX_FUNCTION_NESTING, MAX_NESTING, MAX_TEXT_BYTES};

use crate::json::Json;
use program::Query;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is not a path that we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PathError {
    /// As a sentence for the person who wrote the path.
    pub detail: String,
}

impl PathError {
    fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
        }
    }
}

/// A compiled path. Cheap to clone; equal when the texts are.
#[derive(Clone)]
pub struct JsonPath {
    text: Arc<str>,
    query: Arc<Query>,
    plain: Option<Arc<PlainPath>>,
}

impl JsonPath {
    /// Parses and compiles a path, such as `$.items[?@.price > 10].id`.
    ///
    /// # Errors
    /// What RFC 9535 refuses, and what is over the limits of this module.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        text::check_limits(text)?;
        let query = compile::compile(text)?;
        let plain = PlainPath::of(&query).map(Arc::new);
        Ok(Self {
            text: text.into(),
            query: Arc::new(query),
            plain,
        })
    }

    /// `$`: the whole payload.
    pub fn root() -> Self {
        Self::parse("$").expect("the root's path is valid")
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is `$`.
    pub fn is_root(&self) -> bool {
        self.plain().is_some_and(|plain| plain.steps().is_empty())
    }

    /// Only names and non-negative indices, so that it finds one node at most and can be followed
    /// while a body is read.
    pub fn is_plain(&self) -> bool {
        self.plain.is_some()
    }

    /// The steps of a plain path.
    pub fn plain(&self) -> Option<&PlainPath> {
        self.plain.as_deref()
    }

    /// The nodes that the path matches, in the order of RFC 9535, within a budget of its own.
    ///
    /// # Errors
    /// When the evaluation takes more than [`MAX_STEPS`], or finds more than [`MAX_RESULTS`].
    pub fn select<'a>(&self, root: &'a Json) -> Result<Vec<&'a Json>, BudgetExceeded> {
        self.select_within(root, &mut Budget::default())
    }

    /// Like [`JsonPath::select`], with a budget that several evaluations share.
    pub fn select_within<'a>(
        &self,
        root: &'a Json,
        budget: &mut Budget,
    ) -> Result<Vec<&'a Json>, BudgetExceeded> {
        match &self.plain {
            Some(plain) => Ok(plain.find(root).into_iter().collect()),
            None => evaluate::select(&self.query, root, budget),
        }
    }

    /// The first node that the path matches.
    ///
    /// # Errors
    /// As [`JsonPath::select`].
    pub fn first<'a>(&self, root: &'a Json, budget: &mut Budget) -> Result<Option<&'a Json>, BudgetExceeded> {
        match &self.plain {
            Some(plain) => Ok(plain.find(root)),
            None => Ok(self.select_within(root, budget)?.into_iter().next()),
        }
    }
}

impl PartialEq for JsonPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for JsonPath {}

impl std::hash::Hash for JsonPath {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonPath({})", self.text)
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for JsonPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
