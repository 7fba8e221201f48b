//! What of a source's events is kept in order, and where the key is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    jsonpath::JsonPath,
    validation::{self, Faults},
};

/// Where a key is read from a request. Exactly one member is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPlace {
    /// A header's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A query parameter's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A path into the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub path: Option<JsonPath>,
}

impl KeyPlace {
    /// The place at a path into the payload.
    pub fn at_path(path: JsonPath) -> Self {
        Self {
            path: Some(path),
            ..Self::default()
        }
    }

    pub(super) fn check(&self, pointer: &str, faults: &mut Faults) {
        let set = [self.header.is_some(), self.query.is_some(), self.path.is_some()];
        let one = set.iter().filter(|is_set| **is_set).count() == 1;
        faults.require(one, pointer, "needs exactly one of header, query and path");
        if let Some(header) = &self.header {
            faults.require(
                validation::is_header_name(header),
                &format!("{pointer}/header"),
                "is not a header's name",
            );
        }
        if let Some(path) = &self.path {
            let detail = "has to be a plain path, such as $.user.id, to be read at the edge";
            faults.require(path.is_plain(), &format!("{pointer}/path"), detail);
        }
    }
}

/// Which of a source's events are processed in the order accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderingMode {
    /// None.
    None,
    /// All of them, one after another.
    Source,
    /// Those with the same key.
    Key,
}

/// A source's ordering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceOrdering {
    /// What is kept in order.
    pub mode: OrderingMode,
    /// Where the key is, with mode `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyPlace>,
}

impl SourceOrdering {
    pub(super) const NONE: Self = Self {
        mode: OrderingMode::None,
        key: None,
    };
}
