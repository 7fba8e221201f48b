//! The body of a delivery in its destination's format.

use hookrail_domain::{
    destination::Format,
    event::{Body, Event},
    ids::RouteId,
    mapping::{MappedEvent, Request},
    payload::{self, BodyFormat, Kind},
    render::{
        CLOUDEVENT_CONTENT_TYPE, CloudEvent, CloudEventData, CurrentContext, EntityReference, EventBody,
        Origin,
    },
    source::query_params::declared_members,
};

use crate::render_delivery::Rendering;

const JSON: &str = "application/json";

/// A body with what goes with it.
pub(crate) struct RenderedBody {
    pub(crate) content_type: Option<String>,
    /// Headers that belong to it.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

impl RenderedBody {
    fn new(content_type: &str, bytes: Vec<u8>) -> Self {
        Self {
            content_type: Some(content_type.to_owned()),
            headers: Vec::new(),
            body: Body::inline(bytes),
        }
    }
}

/// The body, or why it can't be made.
pub(crate) fn render(
    rendering: &Rendering<'_>,
    format: Format,
    route: Option<RouteId>,
) -> Result<RenderedBody, String> {
    let event = &rendering.arrival.event;
    match format {
        Format::Event => {
            let made = || Body::inline(with_event_body(rendering, |body| body.to_bytes()));
            Ok(RenderedBody {
                content_type: Some(JSON.to_owned()),
                headers: Vec::new(),
                body: rendering.made.get_or_init(made).clone(),
            })
        }
        Format::Raw => Ok(RenderedBody {
            content_type: event.content_type.clone(),
            headers: Vec::new(),
            body: event.body.clone(),
        }),
        Format::Mapped => mapped(rendering, route).map(|bytes| RenderedBody::new(JSON, bytes)),
        Format::Cloudevents => {
            let body = cloud_event(rendering).to_structured();
            Ok(RenderedBody::new(CLOUDEVENT_CONTENT_TYPE, body))
        }
        Format::CloudeventsBinary => Ok(binary_cloud_event(rendering)),
    }
}

fn mapped(rendering: &Rendering<'_>, route: Option<RouteId>) -> Result<Vec<u8>, String> {
    let route = route.and_then(|id| rendering.snapshot.route(id));
    let Some(mapping) = route.and_then(|route| route.spec.mapping.as_ref()) else {
        return Err("the destination's format is mapped, and no route with a mapping leads to it".to_owned());
    };
    let event = &rendering.arrival.event;
    let render = |body: &EventBody<'_>| {
        let request = Request {
            method: &event.method,
            query: &event.query,
            headers: &event.headers,
        };
        let event = MappedEvent { body: *body, request };
        mapping.render(&event, rendering.max_body_bytes)
    };
    with_event_body(rendering, render).map_err(|error| error.to_string())
}

fn cloud_event<'a>(rendering: &'a Rendering<'a>) -> CloudEvent<'a> {
    let event = &rendering.arrival.event;
    CloudEvent {
        event: event.id,
        workspace: workspace_code(rendering),
        source: source(rendering).map(|source| source.spec.name.as_str()),
        event_type: rendering.event_type,
        entity: rendering.entity,
        time: event.accepted_at,
        data: match received(rendering) {
            Some(bytes) => CloudEventData::Bytes(event.content_type.as_deref(), bytes),
            None => CloudEventData::Json(rendering.data),
        },
    }
}

fn binary_cloud_event(rendering: &Rendering<'_>) -> RenderedBody {
    let event = &rendering.arrival.event;
    let cloud_event = cloud_event(rendering);
    let (content_type, body) = match cloud_event.data {
        CloudEventData::Json(data) => (Some(JSON.to_owned()), Body::inline(data.to_compact_vec())),
        CloudEventData::Bytes(..) => (event.content_type.clone(), event.body.clone()),
    };
    RenderedBody {
        content_type,
        headers: cloud_event.to_headers(),
        body,
    }
}

/// The event's bytes, where they are its data and not JSON: these are given as they were received.
fn received<'a>(rendering: &'a Rendering<'_>) -> Option<&'a [u8]> {
    let event = &rendering.arrival.event;
    let is_itself = rendering.entity.is_none() && event.source.is_some();
    let bytes = event.body.bytes().filter(|_| is_itself)?;
    let spec = source(rendering).map(|source| source.spec.body_format);
    let is_json = match Kind::of(event.content_type.as_deref(), spec.unwrap_or(BodyFormat::Auto)) {
        Kind::Json => true,
        Kind::Undeclared => !rendering.data.is_null(),
        _ => false,
    };
    (!is_json && !payload::is_bodyless(&event.method, bytes)).then_some(&bytes[..])
}

fn source<'a>(rendering: &Rendering<'a>) -> Option<&'a hookrail_domain::source::Source> {
    let id = rendering.arrival.event.source?;
    rendering.snapshot.source(id).map(AsRef::as_ref)
}

fn workspace_code<'a>(rendering: &Rendering<'a>) -> &'a str {
    let event: &Event = &rendering.arrival.event;
    let workspace = rendering.snapshot.workspace(event.workspace);
    let code = workspace.map(|workspace| workspace.code.as_str());
    let of_source = || source(rendering).map(|source| source.workspace_code.as_str());
    code.or_else(of_source).unwrap_or_default()
}

/// What the format `event` says.
fn with_event_body<T>(rendering: &Rendering<'_>, make: impl FnOnce(&EventBody<'_>) -> T) -> T {
    let event = &rendering.arrival.event;
    let event_id = event.id.to_string();
    let source = source(rendering);
    let entity = rendering.entity.map(|entity| EntityReference {
        entity_type: &entity.entity_type,
        unique_id: &entity.unique_id,
        version: &entity.version,
    });
    let params = source
        .map(|source| source.spec.query_params.as_slice())
        .unwrap_or_default();
    let declared = (!params.is_empty()).then(|| declared_members(params, &event.query));
    let current_context = match &event.current_context {
        Some(posted) => CurrentContext::Posted(posted),
        None => CurrentContext::Origin(Origin {
            workspace: workspace_code(rendering),
            source: source.map(|source| source.spec.name.as_str()),
            event_id: &event_id,
            entity,
            previous_fields: rendering.previous,
            query: declared.as_ref(),
        }),
    };
    make(&EventBody {
        event_time: event.accepted_at,
        event_type: rendering.event_type,
        current_context,
        data: rendering.data,
    })
}
