//! The body that a delivery is sent again with: the one that its dead letter kept, or else the same made
//! again.

use std::cell::OnceCell;

use hookrail_broker::codec;
use hookrail_domain::{
    delivery::{Delivery, MAX_DELIVERY_BODY_BYTES},
    event::Body,
    fetcher::ids::FetchId,
    partition,
    snapshot::Snapshot,
};
use hookrail_runtime::TraceParent;
use hookrail_store::dead_letters::DeadLetterRow;

use crate::{
    consume_partition::Workshop, evaluate::Arrival, fetch_bodies::fetch, jobs::JobError, read_event,
    render_delivery::Rendering, rendered_body,
};

/// A body and what goes with it.
pub(crate) struct Content {
    pub(crate) content_type: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) traceparent: String,
}

/// The body that a dead letter has, here or in the object store.
pub(crate) async fn kept(workshop: &Workshop, letter: &DeadLetterRow) -> Result<Option<Content>, JobError> {
    let body = match (&letter.body, &letter.body_object) {
        (Some(bytes), _) => Some(Body::inline(bytes.as_slice())),
        (None, Some(name)) => {
            let (name, size) = (name.clone(), letter.size.unsigned_abs());
            fetch(&workshop.broker, &Body::Object { name, size }).await?
        }
        (None, None) => None,
    };
    let headers = letter.headers()?;
    Ok(body.map(|body| Content {
        content_type: letter.content_type.clone(),
        headers,
        body,
        traceparent: letter.traceparent.clone(),
    }))
}

/// The body of a fetch: it asks for the same entity again, whatever the log still has.
pub(crate) fn of_fetch(snapshot: &Snapshot, fetch: &Delivery) -> Option<Content> {
    let fetcher = snapshot.fetcher(fetch.fetcher?)?;
    let asked = FetchId::new(&fetcher.spec.unique_id, &fetch.entity.as_ref()?.unique_id)?;
    // The same fetch has the same trace, however often it is replayed.
    let hash = partition::hash(&[b"trace", &fetch.id.as_u128().to_be_bytes()]);
    let mut trace = [0; 24];
    trace.copy_from_slice(&hash[..24]);
    Some(Content {
        content_type: Some("application/json".to_owned()),
        headers: Vec::new(),
        body: Body::inline(asked.to_body()),
        traceparent: TraceParent::new(trace).to_string(),
    })
}

/// The body of a delivery that was never dead, or whose dead letter is gone, made from its event while the
/// log has that. Not where it told of an entity's change: what the entity was before is not known any more,
/// so the body would be another one. Such an event can be replayed itself.
pub(crate) async fn from_log(
    workshop: &Workshop,
    snapshot: &Snapshot,
    delivery: &Delivery,
) -> Result<Option<Content>, JobError> {
    let destination = snapshot.destination(delivery.destination);
    let (Some(destination), None) = (destination, &delivery.entity) else {
        return Ok(None);
    };
    // A record of a sync comes from no event of the log.
    if delivery.is_sync_record() {
        return Ok(None);
    }
    let origin = delivery.origin;
    let message = workshop.broker.raw_get(origin.partition, origin.sequence).await?;
    let event = message
        .as_ref()
        .and_then(|message| codec::decode_event(&message.payload).ok());
    let Some((message, mut event)) = message.zip(event).filter(|(_, event)| event.id == delivery.event)
    else {
        return Ok(None);
    };
    match fetch(&workshop.broker, &event.body).await? {
        Some(body) => event.body = body,
        None => return Ok(None),
    }
    let Some(data) = read_event::data_of(snapshot, &event) else {
        return Ok(None);
    };
    let arrival = Arrival {
        event,
        partition: origin.partition,
        sequence: origin.sequence,
        stored_at: message.timestamp_ms,
    };
    let rendering = Rendering {
        snapshot,
        arrival: &arrival,
        event_type: &delivery.event_type,
        data: &data,
        entity: None,
        previous: None,
        max_body_bytes: MAX_DELIVERY_BODY_BYTES as usize,
        answers: false,
        replay: delivery.replay,
        was_held: false,
        made: &OnceCell::new(),
    };
    let rendered = rendered_body::render(&rendering, destination.spec.format, delivery.route).ok();
    Ok(rendered.map(|rendered| Content {
        content_type: rendered.content_type,
        headers: rendered.headers,
        body: rendered.body,
        traceparent: arrival.event.traceparent.clone(),
    }))
}
