//! The id that a fetch asks for: the text of an entity's unique id, and its parts.

use crate::{entity::UniqueId, json::Json};

/// What a fetch asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchId {
    /// The unique id's text, as the entity has it.
    pub text: String,
    /// The text of each part; one where the id is not a list.
    pub parts: Vec<String>,
}

impl FetchId {
    /// The id with this text, as `rules` make it. `None`: it is not of that many parts.
    pub fn new(rules: &UniqueId, text: &str) -> Option<Self> {
        let parts = match rules {
            UniqueId::One(_) => vec![text.to_owned()],
            UniqueId::Many(paths) => {
                let list = Json::parse(text.as_bytes()).ok()?;
                let items = list.as_array()?;
                let parts: Option<Vec<String>> = items.iter().map(Json::scalar_text).collect();
                parts.filter(|parts| parts.len() == paths.len())?
            }
        };
        let text = text.to_owned();
        Some(Self { text, parts })
    }

    /// The body of the delivery that asks for it.
    pub fn to_body(&self) -> Vec<u8> {
        let parts = self.parts.iter().map(|part| Json::from(part.as_str()));
        Json::from([("id", Json::from(self.text.as_str())), ("parts", parts.collect())]).to_compact_vec()
    }

    /// Reads what [`FetchId::to_body`] wrote.
    pub fn from_body(body: &[u8]) -> Option<Self> {
        let json = Json::parse(body).ok()?;
        let text = json.get("id")?.as_str()?.to_owned();
        let items = json.get("parts")?.as_array()?;
        let parts: Option<Vec<String>> = items
            .iter()
            .map(|part| part.as_str().map(str::to_owned))
            .collect();
        Some(Self { text, parts: parts? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &str, text: &str, expected: Option<&[&str]>) {
        let rules: UniqueId = serde_json::from_str(rules).unwrap();
        let found = FetchId::new(&rules, text);
        let parts = found
            .as_ref()
            .map(|id| id.parts.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(parts.as_deref(), expected, "{text}");
        if let Some(id) = found {
            assert_eq!(FetchId::from_body(&id.to_body()), Some(id));
        }
    }

    #[test]
    fn an_id_has_as_many_parts_as_its_rule_has_paths() {
        check(r#""$.id""#, "42", Some(&["42"]));
        check(r#""$.id""#, r#"["a"]"#, Some(&[r#"["a"]"#]));
        check(r#"["$.shop", "$.id"]"#, r#"["a/b",42]"#, Some(&["a/b", "42"]));
        check(r#"["$.shop", "$.id"]"#, r#"["a"]"#, None);
        check(r#"["$.shop", "$.id"]"#, "42", None);
    }
}
