//! Puts the events that Hookrail makes itself into the log, in the order in which they became true. They
//! have the part of the log that the ingress leaves free; where a partition of it is full even so, its
//! events wait, and nothing waits for them.

use std::{collections::HashSet, time::Duration};

use hookrail_broker::{Lease, OutMessage, PublishError, codec};
use hookrail_domain::event::{Body, Event};
use hookrail_domain::ids::EventId;
use hookrail_domain::partition;
use hookrail_runtime::TraceParent;
use hookrail_store::internal_events::{self, StoredInternalEvent};

use crate::{consume_partition::Workshop, jobs::JobError};

/// Events put into the log in one step.
const STEP: u32 = 100;
/// The pause where there was nothing to do, or no room.
const PAUSE: Duration = Duration::from_millis(500);

/// One walk over all that waits, oldest first.
#[derive(Default)]
struct Round {
    /// How far it has come.
    after: Option<EventId>,
    /// Partitions that took one of their events no more, so that none overtakes it.
    full: HashSet<u32>,
}

/// Publishes while the lease holds.
pub(crate) async fn publish_internal_events(workshop: Workshop, lease: Lease) {
    let mut round = Round::default();
    while lease.holds() {
        match step(&workshop, &lease, &mut round).await {
            Ok(seen) if seen == STEP as usize => {}
            Ok(_) => {
                round = Round::default();
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                round = Round::default();
                tracing::warn!(%error, "events of Hookrail's own wait to be put into the log");
                tokio::time::sleep(PAUSE * 4).await;
            }
        }
    }
}

/// Publishes the round's next events; gives how many it has looked at. One that was published and not
/// removed is published again under the same id, which the log or the processor knows.
async fn step(workshop: &Workshop, lease: &Lease, round: &mut Round) -> Result<usize, JobError> {
    let waiting = internal_events::oldest(workshop.store.reader(), round.after, STEP).await?;
    round.after = waiting.last().map(|event| event.id);
    let mut taken = Vec::with_capacity(waiting.len());
    let mut failed = None;
    for event in &waiting {
        if !lease.holds() {
            break;
        }
        if round.full.contains(&event.id.partition()) {
            continue;
        }
        match publish(workshop, event).await {
            Ok(()) => taken.push(event.id),
            Err(PublishError::Refused { reason }) => {
                tracing::debug!(
                    partition = event.id.partition(),
                    reason,
                    "no room for an own event"
                );
                round.full.insert(event.id.partition());
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if !taken.is_empty() {
        let transaction = workshop.store.write().await?;
        internal_events::delete(&*transaction, &taken).await?;
        transaction.commit().await?;
        workshop.metrics.internal_events.inc_by(taken.len() as u64);
    }
    failed.map_or(Ok(waiting.len()), |error| Err(error.into()))
}

async fn publish(workshop: &Workshop, stored: &StoredInternalEvent) -> Result<(), PublishError> {
    let event = event(stored, workshop.snapshots.current().revision());
    let (id, subject) = (event.id.to_string(), event.workspace.to_string());
    let partition = event.id.partition();
    let message = OutMessage {
        id: &id,
        body_hash: None,
        event_id: Some(&id),
        payload: codec::encode_event(event),
    };
    let published = workshop
        .broker
        .publisher()
        .publish_event(partition, &subject, message)
        .await;
    match published {
        Ok(_) => Ok(()),
        // It never will fit; it is a few hundred bytes, so this is a setting nobody can work with.
        Err(error @ PublishError::TooLarge { .. }) => {
            tracing::error!(event = id, %error, "an event of Hookrail's own is left out");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn event(stored: &StoredInternalEvent, revision: u64) -> Event {
    // The same event has the same trace, however often it is published.
    let hash = partition::hash(&[b"trace", &stored.id.as_u128().to_be_bytes()]);
    let mut trace = [0; 24];
    trace.copy_from_slice(&hash[..24]);
    Event {
        id: stored.id,
        workspace: stored.workspace,
        source: None,
        event_type: stored.event_type.clone(),
        revision,
        accepted_at: stored.at,
        method: "POST".to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        content_type: Some("application/json".to_owned()),
        body: Body::inline(stored.data.to_compact_vec()),
        remote_addr: None,
        credential: None,
        ordering_key: Some(stored.ordering_key.clone()),
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: TraceParent::new(trace).to_string(),
        reply: None,
        internal: true,
    }
}
