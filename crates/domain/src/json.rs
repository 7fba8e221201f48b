//! A JSON value that keeps what the sender wrote: numbers as their text, members in their order.
//!
//! Payloads, entities' objects, filters' values and mapping constants are of this type, because 28 %
//! of real payloads hold integers that a double cannot hold. It is not for API bodies and settings:
//! those have types of their own.
//!
//! `serde` works through [`serde_json::value::RawValue`], so with `serde_json` only, and not inside
//! flattened, untagged or internally tagged types.

mod number;
mod parse;
mod write;

pub use number::Number;
pub use parse::{JsonError, MAX_DEPTH, MAX_VALUES};
pub(crate) use parse::{Position, event_reader};
pub(crate) use write::write_json_string;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;

/// The members of an object, in the order in which their names first came.
pub type Members = IndexMap<String, Json>;

/// A JSON value. `==` compares numbers by their text; [`Json::equals`] compares them by their value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Json {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    Object(Members),
}

impl Json {
    /// An object without members.
    pub fn object() -> Self {
        Self::Object(Members::new())
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Members> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Neither an array nor an object.
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Object(_))
    }

    /// The member of an object with this name; `None` for what isn't an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.as_object()?.get(name)
    }

    /// An item of an array; a negative index counts from the end (−1 is the last).
    pub fn item(&self, index: i64) -> Option<&Json> {
        let items = self.as_array()?;
        items.get(absolute_index(index, items.len())?)
    }

    /// `null`, `boolean`, `number`, `string`, `array` or `object`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// Equality of values as RFC 9535, section 2.3.5.2.2 has it: types never mix, `1` equals `1.0`,
    /// arrays item by item, objects whatever the order of their members.
    pub fn equals(&self, other: &Json) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.equals(b),
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
            }
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| a.equals(b)))
            }
            _ => self == other,
        }
    }

    /// A scalar as a key: a string bare, a number as it was written, `true` or `false`. Null, the
    /// empty string, arrays and objects identify nothing.
    pub fn scalar_text(&self) -> Option<String> {
        match self {
            Self::Null | Self::Array(_) | Self::Object(_) => None,
            Self::String(text) if text.is_empty() => None,
            _ => Some(self.bare_text()),
        }
    }

    /// What identifies an entity: [`Json::scalar_text`], or the JSON text of a list of scalars none of
    /// which is null.
    pub fn identity_text(&self) -> Option<String> {
        let identifies = |item: &Json| item.is_scalar() && !item.is_null();
        match self {
            Self::Array(items) if !items.is_empty() && items.iter().all(identifies) => {
                Some(self.to_compact_string())
            }
            _ => self.scalar_text(),
        }
    }

    /// A string bare, everything else as compact JSON.
    pub fn bare_text(&self) -> String {
        match self {
            Self::String(text) => text.clone(),
            _ => self.to_compact_string(),
        }
    }
}

/// The place in a list of `len` items that `index` names, negative ones counted from the end.
pub(crate) fn absolute_index(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    let index = if index < 0 { index.checked_add(len)? } else { index };
    (0..len).contains(&index).then_some(index as usize)
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Number(Number::from(value))
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Number(Number::from(value))
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Self {
        Self::Array(items)
    }
}

impl FromIterator<Json> for Json {
    fn from_iter<I: IntoIterator<Item = Json>>(items: I) -> Self {
        Self::Array(items.into_iter().collect())
    }
}

impl<N: Into<String>, const LEN: usize> From<[(N, Json); LEN]> for Json {
    fn from(members: [(N, Json); LEN]) -> Self {
        Self::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }
}

impl FromStr for Json {
    type Err = JsonError;

    fn from_str(text: &str) -> Result<Self, JsonError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_compact_string())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_compact_string())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get().parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests;
