//! Making a delivery from what was planned: its body in the destination's format, within the size that
//! one may have. What can't be made is dead from the start, and recorded so; it never holds up
//! anything.

use std::cell::OnceCell;

use hookrail_domain::{
    delivery::{Delivery, DeliveryStatus, EntityRef, ErrorCode, Failure},
    destination::Format,
    event::Body,
    ids::ReplayId,
    journal::{DeliveryFacts, StateRecord},
    json::{Json, Members},
    plan::Planned,
    render::{CurrentContext, EntityReference, EventBody, Origin},
    snapshot::Snapshot,
    source::query_params::declared_members,
};

use crate::evaluate::Arrival;

/// What the body of a delivery is made from.
pub(crate) struct Rendering<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) arrival: &'a Arrival,
    pub(crate) event_type: &'a str,
    pub(crate) data: &'a Json,
    pub(crate) entity: Option<&'a EntityRef>,
    pub(crate) previous: Option<&'a Members>,
    pub(crate) max_body_bytes: usize,
    pub(crate) replay: Option<ReplayId>,
    /// The body in the format `event`, once it was made: it is the same for all destinations.
    pub(crate) made: &'a OnceCell<Body>,
    /// Whether it answers the event's caller.
    pub(crate) answers: bool,
}

/// The delivery, or the record of its death.
pub(crate) fn render(rendering: &Rendering<'_>, planned: Planned) -> Result<Delivery, Box<StateRecord>> {
    let body = body(rendering, planned.format);
    let event = &rendering.arrival.event;
    let (content_type, bytes) = match body {
        Ok((content_type, bytes)) => (content_type, Ok(bytes)),
        Err(reason) => (None, Err(reason)),
    };
    let mut delivery = Delivery {
        id: planned.id,
        event: event.id,
        event_type: rendering.event_type.to_owned(),
        workspace: event.workspace,
        source: event.source,
        destination: planned.destination,
        route: planned.route,
        entity: rendering.entity.cloned(),
        lane_key: planned.lane_key,
        origin: planned.origin,
        revision: rendering.snapshot.revision(),
        accepted_at: event.accepted_at,
        content_type,
        body: Body::inline(Vec::new()),
        traceparent: event.traceparent.clone(),
        replay: rendering.replay,
        reply: event.reply.clone().filter(|_| rendering.answers),
        generation: 0,
        attempts_before: 0,
        fetcher: None,
    };
    let limit = rendering.max_body_bytes;
    match bytes {
        Ok(body) if body.size() <= limit as u64 => {
            delivery.body = body;
            Ok(delivery)
        }
        Ok(body) => Err(dead(
            &delivery,
            format!("the body of {} bytes is over the limit of {limit}", body.size()),
        )),
        Err(reason) => Err(dead(&delivery, reason)),
    }
}

/// The record of a delivery that can't be sent.
pub(crate) fn dead(delivery: &Delivery, reason: String) -> Box<StateRecord> {
    Box::new(StateRecord {
        delivery: DeliveryFacts::from(delivery),
        status: DeliveryStatus::Dead,
        epoch: 0,
        attempts: 0,
        next_at: None,
        settled_at: Some(delivery.accepted_at),
        failure: Some(Failure {
            code: ErrorCode::Render,
            detail: reason,
        }),
        generation: 0,
        attempt: None,
    })
}

/// The content type and the bytes, or why they can't be made.
pub(crate) fn body(rendering: &Rendering<'_>, format: Format) -> Result<(Option<String>, Body), String> {
    let event = &rendering.arrival.event;
    match format {
        Format::Event => Ok((
            Some("application/json".to_owned()),
            rendering
                .made
                .get_or_init(|| Body::inline(event_body(rendering)))
                .clone(),
        )),
        Format::Raw => Ok((event.content_type.clone(), event.body.clone())),
        Format::Mapped | Format::Cloudevents | Format::CloudeventsBinary => {
            Err("this version can't make bodies of the destination's format".to_owned())
        }
    }
}

fn event_body(rendering: &Rendering<'_>) -> Vec<u8> {
    let event = &rendering.arrival.event;
    let event_id = event.id.to_string();
    let workspace = rendering
        .snapshot
        .workspace(event.workspace)
        .map(|workspace| workspace.code.as_str());
    let source = event.source.and_then(|id| rendering.snapshot.source(id));
    let of_source = source.map(|source| source.workspace_code.as_str());
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
            workspace: workspace.or(of_source).unwrap_or_default(),
            source: source.map(|source| source.spec.name.as_str()),
            event_id: &event_id,
            entity,
            previous_fields: rendering.previous,
            query: declared.as_ref(),
        }),
    };
    let body = EventBody {
        event_time: event.accepted_at,
        event_type: rendering.event_type,
        current_context,
        data: rendering.data,
    };
    body.to_bytes()
}
