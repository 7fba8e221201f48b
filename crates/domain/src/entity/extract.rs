//! Payload → entities by the rules of a source, with a warning for each path that finds nothing.

use super::{Build, EntityRules, UniqueId};
use crate::filter::FilterInput;
use crate::json::{Json, Members};
use crate::jsonpath::{Budget, BudgetExceeded, JsonPath};
use serde::Serialize;

/// Entities of one payload.
pub const MAX_ENTITIES: usize = 10_000;

/// Bytes of a unique id's text, so that every database can index it.
pub const MAX_UNIQUE_ID_BYTES: usize = 512;

/// What a payload gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extraction {
    /// In the payload's order; the same unique id may come more than once.
    pub entities: Vec<Extracted>,
    /// One per field, however many entities lack it.
    pub warnings: Vec<Warning>,
}

/// One entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// The JSON text of its scalar or list, a string bare.
    pub unique_id: String,
    pub title: Option<String>,
    /// The indexed fields that were found.
    pub fields: Members,
    /// The whole entity.
    pub data: Json,
    /// Whether the event deletes it.
    pub deletes: bool,
}

/// A rule that did not work on a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// `mapping.unresolved`, `mapping.too_long`, `mapping.too_many` or `mapping.over_budget`.
    pub code: &'static str,
    /// `path`, `unique_id`, `title`, `fields.<name>` or `delete_when`.
    pub field: String,
    /// The rule's path.
    pub path: String,
}

/// Extracts from a payload alone; `delete_when` sees no headers, query and method then.
pub fn extract(rules: &EntityRules, payload: &Json) -> Extraction {
    let input = FilterInput {
        payload: Some(payload),
        headers: &[],
        query: &[],
        method: "",
    };
    extract_from(rules, &input)
}

/// Extracts from an event. An entity whose unique id does not resolve is left out, with a warning
/// that names `unique_id`. A payload without structure gives nothing and warns of `path`. With a
/// fetcher only the ids are looked for: the rest is in its answers.
pub fn extract_from(rules: &EntityRules, input: &FilterInput<'_>) -> Extraction {
    let ids_only = (rules.build == Build::Fetcher).then(|| rules.ids_only());
    let mut pass = Pass {
        rules: ids_only.as_ref().unwrap_or(rules),
        budget: Budget::default(),
        extraction: Extraction::default(),
    };
    let Some(payload) = input.payload else {
        pass.warn("mapping.unresolved", "path", rules.path.as_str());
        return pass.extraction;
    };
    if pass.run(payload, input).is_err() {
        pass.extraction.entities.clear();
        pass.warn("mapping.over_budget", "path", rules.path.as_str());
    }
    pass.extraction
}

struct Pass<'r> {
    rules: &'r EntityRules,
    budget: Budget,
    extraction: Extraction,
}

impl Pass<'_> {
    fn run(&mut self, payload: &Json, input: &FilterInput<'_>) -> Result<(), BudgetExceeded> {
        let rules = self.rules;
        let found = rules.path.select_within(payload, &mut self.budget)?;
        if found.is_empty() {
            self.warn("mapping.unresolved", "path", rules.path.as_str());
        }
        let deletes = match &rules.delete_when {
            Some(filter) => filter.accepts_within(input, &mut self.budget)?,
            None => false,
        };
        let parts: Vec<&Json> = found.into_iter().flat_map(parts).take(MAX_ENTITIES + 1).collect();
        if parts.len() > MAX_ENTITIES {
            self.warn("mapping.too_many", "path", rules.path.as_str());
            return Ok(());
        }
        for part in parts {
            if let Some(entity) = self.entity(part, deletes)? {
                self.extraction.entities.push(entity);
            }
        }
        Ok(())
    }

    fn entity(&mut self, part: &Json, deletes: bool) -> Result<Option<Extracted>, BudgetExceeded> {
        let Some(unique_id) = self.unique_id(part)? else {
            return Ok(None);
        };
        let rules = self.rules;
        let mut fields = Members::new();
        for (name, path) in &rules.fields {
            match self.field(path, part)? {
                Some(value) => {
                    fields.insert(name.clone(), value);
                }
                None => self.warn("mapping.unresolved", &format!("fields.{name}"), path.as_str()),
            }
        }
        let title = match &rules.title {
            Some(path) => {
                let title = path.first(part, &mut self.budget)?.and_then(Json::scalar_text);
                if title.is_none() {
                    self.warn("mapping.unresolved", "title", path.as_str());
                }
                title
            }
            None => None,
        };
        Ok(Some(Extracted {
            unique_id,
            title,
            fields,
            data: part.clone(),
            deletes,
        }))
    }

    fn unique_id(&mut self, part: &Json) -> Result<Option<String>, BudgetExceeded> {
        let rules = self.rules;
        let text = match &rules.unique_id {
            UniqueId::One(path) => self.only(path, part)?.and_then(Json::identity_text),
            UniqueId::Many(paths) => {
                let mut values = Vec::with_capacity(paths.len());
                for path in paths {
                    values.push(self.only(path, part)?.filter(|value| value.is_scalar()).cloned());
                }
                let list = values.into_iter().collect::<Option<Vec<_>>>();
                list.and_then(|list| Json::Array(list).identity_text())
            }
        };
        let code = match &text {
            None => "mapping.unresolved",
            Some(text) if text.len() > MAX_UNIQUE_ID_BYTES => "mapping.too_long",
            Some(_) => return Ok(text),
        };
        self.warn(code, "unique_id", &rules.unique_id.to_string());
        Ok(None)
    }

    /// The node of a path that matches exactly one: an id must not depend on which is taken.
    fn only<'a>(&mut self, path: &JsonPath, part: &'a Json) -> Result<Option<&'a Json>, BudgetExceeded> {
        match path.select_within(part, &mut self.budget)?.as_slice() {
            [node] => Ok(Some(node)),
            _ => Ok(None),
        }
    }

    /// The value at a path; several are a list.
    fn field(&mut self, path: &JsonPath, part: &Json) -> Result<Option<Json>, BudgetExceeded> {
        let nodes = path.select_within(part, &mut self.budget)?;
        Ok(match nodes.as_slice() {
            [] => None,
            [node] => Some((*node).clone()),
            many => Some(many.iter().map(|node| (*node).clone()).collect()),
        })
    }

    fn warn(&mut self, code: &'static str, field: &str, path: &str) {
        let warnings = &mut self.extraction.warnings;
        if !warnings
            .iter()
            .any(|known| known.code == code && known.field == field)
        {
            warnings.push(Warning {
                code,
                field: field.to_owned(),
                path: path.to_owned(),
            });
        }
    }
}

/// The items of an array, or the node itself.
fn parts(node: &Json) -> &[Json] {
    match node {
        Json::Array(items) => items,
        other => std::slice::from_ref(other),
    }
}
