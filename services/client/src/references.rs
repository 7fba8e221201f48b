//! Names in the place of ids, and back: in a file a definition names another by its name, in the API by its id.
//!
//! One that is yet to be created has a placeholder for its id, so that what names it can be read and planned.

use std::collections::HashMap;

use hookrail_domain::json::Json;

use crate::definition_kind::Kind;

/// The ids of definitions, by kind and name.
#[derive(Clone, Debug, Default)]
pub(crate) struct References {
    ids: HashMap<(Kind, String), String>,
    names: HashMap<String, String>,
    placeholders: HashMap<String, String>,
}

impl References {
    /// Learns a definition.
    pub(crate) fn add(&mut self, kind: Kind, name: &str, id: &str) {
        if let Some(before) = self.ids.insert((kind, name.to_owned()), id.to_owned()) {
            self.placeholders.insert(before, id.to_owned());
        }
        self.names.insert(id.to_owned(), name.to_owned());
    }

    /// Gives a definition that is yet to be created a placeholder for its id.
    pub(crate) fn announce(&mut self, kind: Kind, name: &str) {
        let key = (kind, name.to_owned());
        let placeholder = format!("{}{:026}", kind.id_prefix(), self.ids.len());
        self.ids.entry(key).or_insert(placeholder);
    }

    /// Puts ids in the place of names; gives what is named and not there.
    pub(crate) fn with_ids(&self, kind: Kind, document: &Json) -> Result<Json, String> {
        let mut document = document.clone();
        for (path, target) in kind.references() {
            let Some(place) = at(&mut document, path) else {
                continue;
            };
            let Some(name) = place.as_str() else { continue };
            if name.starts_with(target.id_prefix()) && self.names.contains_key(name) {
                continue;
            }
            let Some(id) = self.ids.get(&(*target, name.to_owned())) else {
                return Err(format!(
                    "/{}: there is no {} {name:?}",
                    path.join("/"),
                    target.what()
                ));
            };
            *place = id.as_str().into();
        }
        Ok(document)
    }

    /// Puts names in the place of ids that are known.
    pub(crate) fn with_names(&self, kind: Kind, document: &Json) -> Json {
        let mut document = document.clone();
        for (path, _) in kind.references() {
            let Some(place) = at(&mut document, path) else {
                continue;
            };
            if let Some(name) = place.as_str().and_then(|id| self.names.get(id)) {
                *place = name.as_str().into();
            }
        }
        document
    }

    /// Puts the ids of what was created meanwhile in the place of placeholders.
    pub(crate) fn settled(&self, kind: Kind, document: &Json) -> Json {
        let mut document = document.clone();
        for (path, _) in kind.references() {
            let Some(place) = at(&mut document, path) else {
                continue;
            };
            if let Some(id) = place.as_str().and_then(|id| self.placeholders.get(id)) {
                *place = id.as_str().into();
            }
        }
        document
    }
}

fn at<'a>(document: &'a mut Json, path: &[&str]) -> Option<&'a mut Json> {
    path.iter().try_fold(document, |value, name| match value {
        Json::Object(members) => members.get_mut(*name),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_names_what_it_connects_and_what_is_not_there_is_refused() {
        let mut references = References::default();
        references.add(Kind::Sources, "shop", "src_1");
        references.announce(Kind::Destinations, "crm");
        let written: Json = r#"{"name":"r","source":"shop","destination":"crm"}"#.parse().unwrap();
        let planned = references.with_ids(Kind::Routes, &written).unwrap();
        assert_eq!(planned.get("source").and_then(Json::as_str), Some("src_1"));
        references.add(Kind::Destinations, "crm", "dst_9");
        let settled = references.settled(Kind::Routes, &planned);
        assert_eq!(settled.get("destination").and_then(Json::as_str), Some("dst_9"));
        assert_eq!(references.with_names(Kind::Routes, &settled), written);
        let wrong: Json = r#"{"name":"r","source":"shp"}"#.parse().unwrap();
        let fault = references.with_ids(Kind::Routes, &wrong).unwrap_err();
        assert_eq!(fault, "/source: there is no source \"shp\"");
    }
}
