//! Mappings: from an event to the body that a receiver wants, compiled once, with members in the order in
//! which they were written and numbers as they came.
//!
//! A mapping is the body with paths in the place of values: `"$.first_name"` is a path, text with `{{…}}` a
//! template, any other value itself, objects and lists nest. Objects whose members' names start with `$` are
//! instructions (`$path`, `$template`, `$const`, `$each`). `$` is the event's data, or in an `$each` the item;
//! `$event` the whole event. What a mapping gives to a receiver by GET is flattened elsewhere.

mod event_document;
mod expression;
mod parse;
mod place;
mod query_names;
mod template;
mod write;

pub use event_document::{MappedEvent, Request};
pub use parse::{MAX_EXPRESSIONS, MAX_MAPPING_DEPTH, MAX_NAME_BYTES, MAX_TEMPLATE_BYTES};
pub use write::MappingError;

use crate::json::Json;
use crate::validation::{FieldError, first_fault};
use expression::Expression;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// A compiled mapping. Cheap to clone; equal when the definitions are.
#[derive(Clone)]
pub struct Mapping {
    definition: Arc<Json>,
    root: Arc<Expression>,
}

impl Mapping {
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

    /// The body that it makes of an event: compact JSON of at most `max_bytes`.
    ///
    /// # Errors
    /// The event has nothing at the mapping's own path, or the body would cost too much.
    pub fn render(&self, event: &MappedEvent<'_>, max_bytes: usize) -> Result<Vec<u8>, MappingError> {
        write::render(&self.root, event, max_bytes)
    }

    /// Whether it looks at anything but the event's data.
    pub fn looks_at_event(&self) -> bool {
        self.root.looks_at_event()
    }

    /// The first name that two of its members would have as query parameters.
    pub fn clash_in_query(&self) -> Option<String> {
        query_names::clash(&self.root)
    }
}

impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        // The order of members is part of what a mapping says.
        self.definition.to_compact_string() == other.definition.to_compact_string()
    }
}

impl Eq for Mapping {}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapping({})", self.definition)
    }
}

impl Serialize for Mapping {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.definition.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Mapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let definition = Json::deserialize(deserializer)?;
        let mut errors = Vec::new();
        let mapping = Self::parse(&definition, "", &mut errors);
        mapping.ok_or_else(|| serde::de::Error::custom(first_fault(&errors)))
    }
}

#[cfg(test)]
mod tests;
