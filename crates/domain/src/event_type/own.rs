//! Event types of one's own: what one's events are called, what their data looks like, and an example.
//!
//! Whether data fits a schema is found out where schemas are compiled.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BUILT_IN, FETCH_ANSWERED, is_type_name};
use crate::{
    json::Json,
    validation::{Faults, FieldError},
};

/// Longest name, bytes.
const MAX_NAME_BYTES: usize = 100;
/// Longest description, bytes.
const MAX_DESCRIPTION_BYTES: usize = 2048;
/// Largest schema and largest sample, bytes of compact JSON.
pub const MAX_PART_BYTES: usize = 64 * 1024;
/// What names of Hookrail's own begin with.
const RESERVED: &str = "hookrail.";

/// What the owner of an event type writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventTypeSpec {
    /// `[a-z0-9_.]{1,100}`, words joined by dots, unique in the workspace. It never changes.
    pub name: String,
    /// For people.
    pub description: String,
    /// A JSON Schema (2020-12) of an event's `data`; absent = any data.
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Json>,
    /// An event's `data`, for tests and for whoever writes a receiver; it has to fit the schema.
    #[schema(value_type = Option<Object>)]
    pub sample: Option<Json>,
}

impl EventTypeSpec {
    /// Refuses what can't be meant.
    ///
    /// # Errors
    /// Every fault with its field.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut faults = Faults::default();
        let name = self.name.as_str();
        let detail = "has to be 1 to 100 of a-z, 0-9 and _ in words joined by dots";
        faults.require(is_own_name(name), "/name", detail);
        let is_taken = BUILT_IN.contains(&name) || name == FETCH_ANSWERED || name.starts_with(RESERVED);
        faults.require(!is_taken, "/name", "is a name of Hookrail's own");
        let fits = self.description.len() <= MAX_DESCRIPTION_BYTES;
        faults.require(fits, "/description", "has more than 2048 bytes");
        for (pointer, part) in [("/schema", &self.schema), ("/sample", &self.sample)] {
            let fits = part
                .as_ref()
                .is_none_or(|part| part.to_compact_vec().len() <= MAX_PART_BYTES);
            faults.require(fits, pointer, "has more than 65536 bytes");
        }
        faults.finish()
    }
}

fn is_own_name(name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.".contains(&b));
    name.len() <= MAX_NAME_BYTES && plain && is_type_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, fits: bool) {
        let spec = EventTypeSpec {
            name: name.to_owned(),
            ..EventTypeSpec::default()
        };
        assert_eq!(spec.validate().is_ok(), fits, "{name}");
    }

    #[test]
    fn a_name_is_of_one_s_own() {
        for name in ["order.paid", "a", "a_1.b", &"a".repeat(100)] {
            check(name, true);
        }
        let long = "a".repeat(101);
        for name in [
            "",
            "a..b",
            ".a",
            "A",
            "a-b",
            "entity.created",
            "fetch.answered",
            "hookrail.x",
            &long,
        ] {
            check(name, false);
        }
    }

    #[test]
    fn a_part_has_a_largest_size() {
        let spec = EventTypeSpec {
            name: "a".to_owned(),
            schema: Some(Json::from("x".repeat(MAX_PART_BYTES))),
            ..EventTypeSpec::default()
        };
        assert_eq!(spec.validate().unwrap_err()[0].pointer, "/schema");
    }
}
