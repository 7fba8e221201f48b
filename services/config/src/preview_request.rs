//! What a preview is asked for: what is to be looked at, and by which rules. What is left out is the source's
//! newest event and its saved rules.

use std::collections::BTreeMap;

use hookrail_domain::entity::EntityRules;
use hookrail_domain::filter::Filter;
use hookrail_domain::json::Json;
use hookrail_domain::payload::BodyFormat;
use serde::{Deserialize, Deserializer};

/// What is to be looked at, and by which rules. What is left out is the source's newest event and its
/// saved rules.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PreviewRequest {
    /// An event of the source.
    pub(crate) event_id: Option<String>,
    /// A payload of one's own, as JSON.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(crate) payload: Option<Json>,
    /// A payload of one's own, as text: XML, a form, JSON.
    pub(crate) payload_text: Option<String>,
    /// The content type of `payload_text`.
    pub(crate) content_type: Option<String>,
    /// How `payload_text` is read; left out = as the source says.
    pub(crate) body_format: Option<BodyFormat>,
    /// Headers that go with a payload of one's own.
    pub(crate) headers: BTreeMap<String, String>,
    /// Query parameters that go with it.
    pub(crate) query: BTreeMap<String, String>,
    /// A filter; null = none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    pub(crate) filter: Option<Option<Filter>>,
    /// Entity rules; null = none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    pub(crate) entity: Option<Option<EntityRules>>,
}

/// Tells null from what is left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_rules_are_not_the_saved_ones() {
        let request: PreviewRequest = serde_json::from_str(r#"{"filter":null}"#).unwrap();
        assert!(request.filter == Some(None) && request.entity.is_none());
    }
}
