//! A fetcher: how an entity is got from the sender's REST API by its id.
//!
//! What is asked is rendered in [`template`] and [`request`], what an answer comes to is in [`answer`]. Who
//! calls, and when, is decided elsewhere: a fetch waits its turn as a delivery does.

pub mod answer;
pub mod ids;
pub mod request;
mod rules;
pub mod template;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    destination::{Destination, DestinationAuth, DestinationSpec, RetryPolicy, Signing},
    entity::UniqueId,
    ids::{DestinationId, FetcherId, WorkspaceId},
    jsonpath::JsonPath,
    rate_limit::RateLimit,
    secret::Secret,
};

/// Calls of one fetcher at a time, where its definition doesn't say.
const IN_FLIGHT: u32 = 16;

/// A fetcher as it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetcher {
    /// Its id.
    pub id: FetcherId,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// What its owner wrote.
    pub spec: FetcherSpec,
}

/// What happens to an entity that its API no longer has (404, 410).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum On404 {
    /// It is deleted.
    #[default]
    Delete,
    /// It is kept, and its member `_missing` is true.
    Mark,
    /// The fetch is dead.
    Fail,
}

/// The method of a fetcher's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FetchMethod {
    /// Without a body.
    #[default]
    Get,
    /// With the body of the definition.
    Post,
}

impl FetchMethod {
    /// The method's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What the owner of a fetcher writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FetcherSpec {
    /// Unique in the workspace.
    pub name: String,
    /// For people and tools.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The type of the entities that it gives.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// URL template with `{{id}}`, or `{{id.0}}`, `{{id.1}}`, … for an id of several parts.
    pub url: String,
    /// How it asks.
    #[serde(default)]
    pub method: FetchMethod,
    /// Headers of its own; values are templates too.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// With POST: the request's JSON body, a template too.
    #[serde(default)]
    pub body: Option<String>,
    /// How requests are authenticated.
    #[serde(default)]
    pub auth: DestinationAuth,
    /// Where the entity is in the answer; absent = the whole.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub entity_path: Option<JsonPath>,
    /// Where its unique id is in the entity: a path, or a list of paths.
    #[schema(value_type = Object)]
    pub unique_id: UniqueId,
    /// Time-out of one call, milliseconds.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
    /// When failed calls are tried again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// Calls a second.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// Calls at a time.
    #[serde(default = "default_max_in_flight")]
    pub max_in_flight: u32,
    /// What a 404 means.
    #[serde(default)]
    pub on_404: On404,
}

fn default_timeout_ms() -> u32 {
    15_000
}

fn default_max_in_flight() -> u32 {
    IN_FLIGHT
}

/// Under which id a fetcher's calls wait in the dispatcher, among the destinations: ids are random, so none
/// is both.
pub fn as_destination(fetcher: FetcherId) -> DestinationId {
    DestinationId::from_u128(fetcher.as_u128())
}

impl Fetcher {
    /// Its limits, in the shape in which the dispatcher keeps those of any receiver. Says nothing of how a
    /// request looks.
    pub fn as_receiver(&self) -> Destination {
        let spec = &self.spec;
        Destination {
            id: as_destination(self.id),
            workspace: self.workspace,
            spec: DestinationSpec {
                name: spec.name.clone(),
                signing: Signing::None,
                timeout_ms: spec.timeout_ms,
                retry: spec.retry.clone(),
                rate_limit: spec.rate_limit,
                max_in_flight: spec.max_in_flight,
                ..DestinationSpec::default()
            },
        }
    }
}

impl FetcherSpec {
    /// Every secret in the definition.
    pub fn secrets_mut(&mut self) -> Vec<&mut Secret> {
        self.auth.secret_mut().into_iter().collect()
    }
}
