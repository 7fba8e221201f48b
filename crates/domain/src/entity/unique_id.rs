//! What identifies an entity: one path, or several whose values identify it together.

use crate::jsonpath::JsonPath;
use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Paths that may identify an entity together.
pub const MAX_UNIQUE_ID_PATHS: usize = 8;

/// The path or paths to an entity's unique id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UniqueId {
    /// `"$.id"`: the id is the text of the value there.
    One(JsonPath),
    /// `["$.shop", "$.id"]`: the id is the JSON text of the list of the values.
    Many(Vec<JsonPath>),
}

impl UniqueId {
    pub fn paths(&self) -> &[JsonPath] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.paths().iter().map(JsonPath::as_str).collect();
        f.write_str(&texts.join(", "))
    }
}

impl Serialize for UniqueId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(path) => path.serialize(serializer),
            Self::Many(paths) => paths.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for UniqueId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueIdVisitor)
    }
}

struct UniqueIdVisitor;

impl<'de> Visitor<'de> for UniqueIdVisitor {
    type Value = UniqueId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path or a list of paths")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UniqueId, E> {
        JsonPath::parse(text).map(UniqueId::One).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<UniqueId, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(UniqueId::Many)
    }
}
