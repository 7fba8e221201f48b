//! Making a delivery from what was planned, with its body ([`crate::rendered_body`]) within the size that one
//! may have. What can't be made is dead from the start, and recorded so; it never holds up
//! anything.

use std::cell::OnceCell;

use hookrail_domain::{
    delivery::{Delivery, DeliveryStatus, EntityRef, ErrorCode, Failure},
    event::Body,
    ids::ReplayId,
    journal::{DeliveryFacts, StateRecord},
    json::{Json, Members},
    plan::Planned,
    snapshot::Snapshot,
};

use crate::{evaluate::Arrival, rendered_body};

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
    /// Whether the event was held.
    pub(crate) was_held: bool,
    /// The body in the format `event`, once it was made: it is the same for all destinations.
    pub(crate) made: &'a OnceCell<Body>,
    /// Whether it answers the event's caller.
    pub(crate) answers: bool,
}

/// The delivery, or the record of its death.
pub(crate) fn render(rendering: &Rendering<'_>, planned: Planned) -> Result<Delivery, Box<StateRecord>> {
    let rendered = rendered_body::render(rendering, planned.format, planned.route);
    let event = &rendering.arrival.event;
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
        content_type: None,
        headers: Vec::new(),
        body: Body::inline(Vec::new()),
        traceparent: event.traceparent.clone(),
        replay: rendering.replay,
        reply: event.reply.clone().filter(|_| rendering.answers),
        generation: 0,
        attempts_before: 0,
        was_held: rendering.was_held,
        fetcher: None,
    };
    let limit = rendering.max_body_bytes;
    match rendered {
        Ok(rendered) if rendered.body.size() <= limit as u64 => {
            delivery.content_type = rendered.content_type;
            delivery.headers = rendered.headers;
            delivery.body = rendered.body;
            Ok(delivery)
        }
        Ok(rendered) => {
            let size = rendered.body.size();
            let reason = format!("the body of {size} bytes is over the limit of {limit}");
            Err(dead(&delivery, reason))
        }
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
