//! Putting an event that the API made into the log, as the ingress does with a sender's.

use std::time::Duration;

use hookrail_broker::codec::encode_event;
use hookrail_broker::{OutMessage, PublishError};
use hookrail_domain::event::{Body, Event};
use hookrail_domain::ids::{EventId, Id, WorkspaceId};
use hookrail_domain::json::Json;
use hookrail_domain::partition;
use hookrail_runtime::{TraceParent, clock, ids, random};
use hookrail_store::revision;

use crate::error::ApiError;
use crate::state::ConfigState;

/// How full a partition may be for events of the API, per cent: the rest is for internal ones.
const FULL_PERCENT: u128 = 85;

/// How long an event waits until the newest change is in force.
const NEWEST_WAIT: Duration = Duration::from_secs(1);

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEvent {
    /// Its id.
    pub(crate) id: String,
    /// Whether an earlier request put it there, with the same key.
    pub(crate) is_repeated: bool,
}

/// Stores an event; returns once the broker has it on disk. `subject` is its source's id, or that of
/// the workspace of a posted event.
pub(crate) async fn store_event(
    state: &ConfigState,
    subject: &str,
    event: &Event,
) -> Result<StoredEvent, ApiError> {
    let partition = event.id.partition();
    let log = state.broker.raw_state(partition).await?;
    if u128::from(log.bytes) * 100 >= u128::from(log.max_bytes) * FULL_PERCENT {
        return Err(ApiError::Unavailable(
            "the event log is full; nothing was stored".to_owned(),
        ));
    }
    let (id, message_id) = (event.id.to_string(), event.message_id());
    let body_hash = content_hash(event);
    let message = OutMessage {
        id: &message_id,
        body_hash: Some(&body_hash),
        event_id: Some(&id),
        payload: encode_event(event.clone()),
    };
    let published = state
        .broker
        .publisher()
        .publish_event(partition, subject, message)
        .await
        .map_err(refused)?;
    if !published.duplicate {
        return Ok(StoredEvent {
            id,
            is_repeated: false,
        });
    }
    let first = state.broker.raw_get(partition, published.sequence).await?;
    let headers = first.map(|first| first.headers).unwrap_or_default();
    match headers.event_id {
        Some(first) if first == id => Ok(StoredEvent {
            id,
            is_repeated: false,
        }),
        Some(first) if headers.body_hash.as_deref() == Some(&body_hash) => Ok(StoredEvent {
            id: first,
            is_repeated: true,
        }),
        Some(_) => Err(ApiError::IdempotencyKeyReused),
        None => Err(ApiError::Unavailable(
            "the first event with this key is gone already".to_owned(),
        )),
    }
}

/// The revision under which an event is accepted now: one that is in force, since whoever reads the
/// event waits for it. A change that was committed just before is waited for a moment.
pub(crate) async fn revision_in_force(state: &ConfigState) -> Result<u64, ApiError> {
    let newest = revision::current(state.store.reader()).await?.unsigned_abs();
    state.snapshots.wait_for(newest, NEWEST_WAIT).await;
    Ok(state.snapshots.current().revision())
}

/// An event of now with a JSON body, in a trace of its own, without a source and without keys.
pub(crate) fn new_event(workspace: WorkspaceId, event_type: &str, body: &Json) -> Event {
    let now = clock::now_ms();
    Event {
        id: EventId::from_parts(now, ids::random_bits()),
        workspace,
        source: None,
        event_type: event_type.to_owned(),
        revision: 0,
        accepted_at: now,
        method: "POST".to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        content_type: Some("application/json".to_owned()),
        body: Body::inline(body.to_compact_vec()),
        remote_addr: None,
        credential: None,
        ordering_key: None,
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: TraceParent::new(random::bytes()).to_string(),
        reply: None,
        internal: false,
    }
}

/// What two requests with one key have in common where they are the same one.
fn content_hash(event: &Event) -> String {
    let body = event.body.bytes().map_or([].as_slice(), |bytes| bytes);
    let context = event
        .current_context
        .as_ref()
        .map(|context| context.to_compact_vec())
        .unwrap_or_default();
    let key = event.ordering_key.as_deref().unwrap_or_default();
    partition::token(partition::hash(&[
        event.event_type.as_bytes(),
        body,
        &context,
        key.as_bytes(),
    ]))
}

fn refused(error: PublishError) -> ApiError {
    match error {
        PublishError::TooLarge { limit, .. } => ApiError::TooLarge(limit),
        error => ApiError::Unavailable(format!("the event log: {error}")),
    }
}
