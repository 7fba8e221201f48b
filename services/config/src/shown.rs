//! Small pieces of what reads show.

use hookrail_domain::json::Json;

/// Text, or null.
pub(crate) fn optional(text: Option<&str>) -> Json {
    text.map_or(Json::Null, Json::from)
}

/// Headers or parameters, in order; names may repeat, so it is a list.
pub(crate) fn pairs(pairs: &[(String, String)]) -> Json {
    let pair = |(name, value): &(String, String)| {
        Json::from([
            ("name", Json::from(name.as_str())),
            ("value", value.as_str().into()),
        ])
    };
    pairs.iter().map(pair).collect()
}

/// The same, as the store keeps them: a JSON list of pairs.
pub(crate) fn stored_pairs(text: &str) -> Json {
    let read: Vec<(String, String)> = serde_json::from_str(text).unwrap_or_default();
    pairs(&read)
}
