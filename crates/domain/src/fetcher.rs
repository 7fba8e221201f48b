//! A fetcher: how an entity is got from the sender's REST API by its id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{destination::DestinationAuth, jsonpath::JsonPath, rate_limit::RateLimit};

/// What happens to an entity that its API no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum On404 {
    /// It is deleted.
    #[default]
    Delete,
    /// It is kept and marked.
    Mark,
    /// The event fails.
    Fail,
}

/// What the owner of a fetcher writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FetcherSpec {
    /// Unique in the workspace.
    pub name: String,
    /// The type of the entities that it gives.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// URL template with `{{id}}`.
    pub url: String,
    /// Headers of its own.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How requests are authenticated.
    #[serde(default)]
    pub auth: DestinationAuth,
    /// Where the entity is in the answer; absent = the whole.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub entity_path: Option<JsonPath>,
    /// Where its unique id is.
    #[schema(value_type = String)]
    pub unique_id: JsonPath,
    /// Time-out of one call, milliseconds.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
    /// Calls a second.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// What a 404 means.
    #[serde(default)]
    pub on_404: On404,
}

fn default_timeout_ms() -> u32 {
    15_000
}
