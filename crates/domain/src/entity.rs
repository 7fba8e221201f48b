//! Entity rules: which part of a payload is an entity, and what identifies, titles and indexes it.
//!
//! Extraction is in [`extract`]; storing entities and telling created from updated are done elsewhere.

mod changed_members;
mod deletion;
mod extract;
pub mod terms;
mod unique_id;

pub use changed_members::changed_members;
pub use deletion::EntityDeletion;
pub use extract::{Extracted, Extraction, MAX_ENTITIES, MAX_UNIQUE_ID_BYTES, Warning, extract, extract_from};
pub use unique_id::{MAX_UNIQUE_ID_PATHS, UniqueId};

use crate::filter::Filter;
use crate::ids::FetcherId;
use crate::jsonpath::JsonPath;
use crate::validation::{self, FieldError};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Indexed fields of one entity.
pub const MAX_FIELDS: usize = 64;

/// Versions of an entity that may be kept.
pub const MAX_HISTORY: u32 = 1000;

/// Where an entity comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Build {
    /// It is in the payload.
    #[default]
    Payload,
    /// The payload has its id; a fetcher gets it.
    Fetcher,
}

/// How a source's payloads become entities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityRules {
    /// The entities' type, such as `customer`.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// Where entities come from.
    #[serde(default)]
    pub build: Build,
    /// The fetcher, with `build: fetcher` only.
    #[serde(default)]
    pub fetcher: Option<FetcherId>,
    /// Which part of the payload is the entity; an array gives one entity per item.
    #[serde(default = "JsonPath::root")]
    pub path: JsonPath,
    /// What identifies it, from the entity.
    pub unique_id: UniqueId,
    /// What people know it by, from the entity.
    #[serde(default)]
    pub title: Option<JsonPath>,
    /// Indexed fields: name → path from the entity.
    #[serde(default)]
    pub fields: IndexMap<String, JsonPath>,
    /// Accepts the events that delete their entities; looks at the whole event.
    #[serde(default)]
    pub delete_when: Option<Filter>,
    /// Versions kept.
    #[serde(default = "default_history")]
    pub history: u32,
}

fn default_history() -> u32 {
    EntityRules::DEFAULT_HISTORY
}

impl EntityRules {
    /// Versions kept where nothing is said.
    pub const DEFAULT_HISTORY: u32 = 20;

    /// Adds what is wrong with the rules, with pointers below `pointer`.
    pub fn validate(&self, pointer: &str, errors: &mut Vec<FieldError>) {
        let mut require = |holds: bool, below: &str, detail: String| {
            if !holds {
                errors.push(FieldError::new(format!("{pointer}/{below}"), detail));
            }
        };
        let name = "has to match [A-Za-z0-9][A-Za-z0-9_-]{0,63}";
        require(validation::is_name(&self.entity_type), "type", name.to_owned());
        match (self.build, self.fetcher) {
            (Build::Payload, Some(_)) => {
                require(false, "fetcher", "goes with build: fetcher only".to_owned());
            }
            (Build::Fetcher, None) => {
                require(false, "fetcher", "is needed with build: fetcher".to_owned());
            }
            _ => {}
        }
        let paths = self.unique_id.paths().len();
        let detail = format!("needs 1 to {MAX_UNIQUE_ID_PATHS} paths");
        require((1..=MAX_UNIQUE_ID_PATHS).contains(&paths), "unique_id", detail);
        let detail = format!("has more than {MAX_FIELDS} fields");
        require(self.fields.len() <= MAX_FIELDS, "fields", detail);
        for field in self.fields.keys().filter(|field| !validation::is_name(field)) {
            let token = field.replace('~', "~0").replace('/', "~1");
            require(
                false,
                &format!("fields/{token}"),
                format!("a field's name {name}"),
            );
        }
        let detail = format!("has to be at most {MAX_HISTORY}");
        require(self.history <= MAX_HISTORY, "history", detail);
    }

    /// The rules for what a payload says of entities that a fetcher gets: their ids.
    pub(crate) fn ids_only(&self) -> Self {
        Self {
            title: None,
            fields: IndexMap::new(),
            delete_when: None,
            ..self.clone()
        }
    }

    /// The path from the payload to the unique id, where both paths are plain and the entity is in
    /// the payload: the key that can be read while the body is checked.
    pub fn plain_unique_id(&self) -> Option<JsonPath> {
        let UniqueId::One(unique_id) = &self.unique_id else {
            return None;
        };
        let joined = self.path.plain()?.join(unique_id.plain()?);
        match self.build {
            Build::Payload => JsonPath::parse(&joined.to_text()).ok(),
            Build::Fetcher => None,
        }
    }
}

#[cfg(test)]
mod tests;
