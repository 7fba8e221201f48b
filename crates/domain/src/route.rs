//! A route: connects a source, or event types, to a destination.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    event_type,
    filter::Filter,
    ids::{DestinationId, RouteId, SourceId, WorkspaceId},
    jsonpath::JsonPath,
    mapping::Mapping,
    validation::{self, Faults, FieldError},
};

/// A route as it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// What its owner wrote.
    pub spec: RouteSpec,
}

/// Where a route's ordering key is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderingKey {
    /// A path into the event's data.
    #[schema(value_type = String)]
    pub path: JsonPath,
}

/// What the owner of a route writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSpec {
    /// Unique in the workspace.
    pub name: String,
    /// The source whose events it takes; absent = all.
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceId>,
    /// The event types that it takes; empty with a source = `webhook.received`.
    pub events: Vec<String>,
    /// Where they go.
    #[schema(value_type = Option<String>)]
    pub destination: Option<DestinationId>,
    /// Which of them; absent = all.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Filter>,
    /// What the body is made of, for destinations of format `mapped`, and only for these.
    #[schema(value_type = Option<Object>)]
    pub mapping: Option<Mapping>,
    /// What is kept in order at an ordered destination.
    pub ordering_key: Option<OrderingKey>,
    /// Whether the destination's answer is the sender's, where the source is one of request-response. One
    /// enabled route of a source at most.
    pub respond: bool,
    /// Whether it takes events.
    pub enabled: bool,
    /// Whether what it takes is held back: deliveries are planned, and wait until it is resumed.
    pub paused: bool,
    /// For people and tools: names with values.
    pub labels: BTreeMap<String, String>,
}

impl Default for RouteSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            source: None,
            events: Vec::new(),
            destination: None,
            filter: None,
            mapping: None,
            ordering_key: None,
            respond: false,
            enabled: true,
            paused: false,
            labels: BTreeMap::new(),
        }
    }
}

impl RouteSpec {
    /// Whether events of this type belong to it.
    pub fn takes(&self, event_type: &str) -> bool {
        match self.events.as_slice() {
            [] => event_type == event_type::WEBHOOK_RECEIVED,
            names => names.iter().any(|name| name == event_type),
        }
    }

    /// Refuses what can't be meant.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut faults = Faults::default();
        let detail = "has to match [A-Za-z0-9][A-Za-z0-9_-]{0,63}";
        faults.require(validation::is_name(&self.name), "/name", detail);
        faults.require(self.destination.is_some(), "/destination", "is needed");
        let triggered = self.source.is_some() || !self.events.is_empty();
        faults.require(triggered, "/events", "needs event types where there is no source");
        faults.require(self.events.len() <= 64, "/events", "has more than 64 event types");
        for (i, event) in self.events.iter().enumerate() {
            let fits = event_type::is_type_name(event);
            faults.require(fits, &format!("/events/{i}"), "is not the name of an event type");
        }
        let can_respond = !self.respond || self.source.is_some();
        faults.require(
            can_respond,
            "/respond",
            "needs a source, whose sender is answered",
        );
        validation::check_labels(&self.labels, &mut faults);
        faults.finish()
    }
}
