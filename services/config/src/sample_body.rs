//! The body of a probe or a test: an event type's sample in the destination's format, as a delivery would
//! have it.

use hookrail_domain::Millis;
use hookrail_domain::destination::{DestinationSpec, Format};
use hookrail_domain::ids::EventId;
use hookrail_domain::json::Json;
use hookrail_domain::mapping::{MappedEvent, Mapping, MappingError, Request};
use hookrail_domain::render::{
    CLOUDEVENT_CONTENT_TYPE, CloudEvent, CloudEventData, CurrentContext, EventBody, Origin,
};
use hookrail_domain::route::RouteSpec;
use hookrail_domain::workspace::Workspace;
use hookrail_store::DefinitionRow;
use hookrail_store::sea_orm::ConnectionTrait;

use crate::error::ApiError;
use crate::route_rules::using;
use crate::state::new_id;

/// Largest body of a test, bytes: samples are small.
const MAX_SAMPLE_BYTES: usize = 1024 * 1024;

/// A body with what goes with it.
#[derive(Debug)]
pub(crate) struct SampleBody {
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) bytes: Vec<u8>,
}

/// What is sampled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) event_type: &'a str,
    /// The event's data.
    pub(crate) data: &'a Json,
    /// The mapping of a route to the destination; without one a mapped body is that of the format `event`.
    pub(crate) mapping: Option<&'a Mapping>,
}

impl Sample<'_> {
    /// The body that `spec`'s receiver gets.
    ///
    /// # Errors
    /// The mapping makes nothing of the sample.
    pub(crate) fn body(&self, spec: &DestinationSpec, now: Millis) -> Result<SampleBody, MappingError> {
        let event = new_id::<EventId>();
        let event_id = event.to_string();
        let data = self.data;
        let body = EventBody {
            event_time: now,
            event_type: self.event_type,
            current_context: CurrentContext::Origin(Origin {
                workspace: &self.workspace.code,
                source: None,
                event_id: &event_id,
                entity: None,
                previous_fields: None,
                query: None,
            }),
            data,
        };
        let cloud_event = CloudEvent {
            event,
            workspace: &self.workspace.code,
            source: None,
            event_type: self.event_type,
            entity: None,
            time: now,
            data: CloudEventData::Json(data),
        };
        let json = |bytes| SampleBody {
            content_type: "application/json",
            headers: Vec::new(),
            bytes,
        };
        Ok(match (spec.format, self.mapping) {
            (Format::Mapped, Some(mapping)) => {
                let request = Request::default();
                json(mapping.render(&MappedEvent { body, request }, MAX_SAMPLE_BYTES)?)
            }
            (Format::Event | Format::Mapped, _) => json(body.to_bytes()),
            (Format::Raw, _) => json(data.to_compact_vec()),
            (Format::Cloudevents, _) => SampleBody {
                content_type: CLOUDEVENT_CONTENT_TYPE,
                ..json(cloud_event.to_structured())
            },
            (Format::CloudeventsBinary, _) => SampleBody {
                headers: cloud_event.to_headers(),
                ..json(data.to_compact_vec())
            },
        })
    }
}

/// The mapping of a route to a destination: of one that takes this event type, or else of the first one.
pub(crate) async fn mapping_to<C: ConnectionTrait>(
    connection: &C,
    destination: &DefinitionRow,
    event_type: &str,
) -> Result<Option<Mapping>, ApiError> {
    let mut routes: Vec<RouteSpec> = using(connection, destination).await?;
    routes.retain(|route| route.enabled && route.mapping.is_some());
    let taking = routes.iter().position(|route| route.takes(event_type));
    let route = match (taking, routes.is_empty()) {
        (_, true) => return Ok(None),
        (place, false) => routes.swap_remove(place.unwrap_or_default()),
    };
    Ok(route.mapping)
}
