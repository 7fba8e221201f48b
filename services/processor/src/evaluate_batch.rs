//! Evaluating a batch of events: read them under the definitions they need, load what is
//! stored, and let [`crate::evaluate`] decide.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hookrail_broker::{LargeMemory, Lease};
use hookrail_domain::delivery::MAX_DELIVERY_BODY_BYTES;
use hookrail_domain::ids::EventId;
use hookrail_domain::snapshot::Snapshot;
use hookrail_store::{Store, StoreError, entities, event_keys, events};

use crate::{
    arrivals::Opened,
    back_off::BackOff,
    commit::Evaluated,
    consume_partition::Workshop,
    error::GiveUp,
    evaluate::{Arrival, BATCH_ROWS, Stored, entity_keys, evaluate, evaluate_held},
    fetch_bodies::{fetch_bodies, together},
    held_sources::HeldSources,
    read_event::{Failure, Reading, read},
};

/// How long a batch waits for its definitions before it says so and waits again.
const REVISION_WAIT: Duration = Duration::from_secs(5);
/// Bytes of bodies from which a batch is evaluated off the asynchronous threads.
const OFFLOAD_BYTES: u64 = 64 * 1024;

/// A batch that was evaluated, with the memory of its large bodies.
pub(crate) struct EvaluatedBatch {
    pub(crate) events: Vec<Evaluated>,
    pub(crate) memory: Option<LargeMemory>,
}

/// How a batch is evaluated.
#[derive(Clone, Copy)]
pub(crate) struct Evaluating<'a> {
    /// Its events fail unread: processing them ended the process before.
    pub(crate) poison: bool,
    /// What is held already, so that what comes from the log may have to be too; `None` = these events were
    /// held.
    pub(crate) held: Option<&'a HeldSources>,
}

/// Evaluates a batch, or as much of its front as may be committed together: at least one event.
pub(crate) async fn evaluate_batch(
    workshop: &Workshop,
    lease: &Lease,
    mut opened: Vec<Opened>,
    evaluating: Evaluating<'_>,
) -> Result<EvaluatedBatch, GiveUp> {
    let revision = opened.iter().map(|opened| opened.arrival.event.revision).max();
    let snapshot = snapshot(workshop, lease, revision.unwrap_or_default()).await?;
    opened.truncate(together(&opened));
    for opened in &mut opened {
        let held = evaluating.held.filter(|_| !evaluating.poison);
        opened.is_held = held.is_some_and(|held| held.holds(&snapshot, &opened.arrival.event));
    }
    let memory = fetch_bodies(&workshop.broker, lease, &mut opened).await?;
    let readings = read_all(&snapshot, &opened, evaluating.poison).await;
    let arrivals: Vec<Arrival> = opened
        .into_iter()
        .map(|opened| opened.arrival)
        .take(readings.len())
        .collect();
    let keys = entity_keys(&snapshot, &arrivals, &readings);
    let wanted = Wanted {
        entities: keys,
        message_ids: arrivals
            .iter()
            .flat_map(|arrival| arrival.event.keys())
            .map(|key| key.id)
            .collect(),
        events: arrivals.iter().map(|arrival| arrival.event.id).collect(),
    };
    let stored = load_stored(workshop, lease, &wanted).await?;
    let is_large = is_large(arrivals.iter());
    let evaluate = match evaluating.held {
        Some(_) => evaluate,
        None => evaluate_held,
    };
    let evaluate_all = move || -> Vec<Evaluated> {
        let limit = MAX_DELIVERY_BODY_BYTES as usize;
        let evaluations = evaluate(&snapshot, &arrivals, readings, stored, limit);
        arrivals.into_iter().zip(evaluations).collect()
    };
    let events = offloaded(is_large, evaluate_all).await;
    Ok(EvaluatedBatch { events, memory })
}

/// Whether there is so much to work through that it is done off the asynchronous threads.
pub(crate) fn is_large<'a>(arrivals: impl Iterator<Item = &'a Arrival>) -> bool {
    arrivals.map(|arrival| arrival.event.body.size()).sum::<u64>() >= OFFLOAD_BYTES
}

/// Works where it belongs.
pub(crate) async fn offloaded<T: Send + 'static>(
    is_large: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if !is_large {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The definitions, not older than the newest under which an event was accepted.
async fn snapshot(workshop: &Workshop, lease: &Lease, revision: u64) -> Result<Arc<Snapshot>, GiveUp> {
    while !workshop.snapshots.wait_for(revision, REVISION_WAIT).await {
        if !lease.holds() {
            return Err(GiveUp::LeaseOver);
        }
        tracing::warn!(
            partition = lease.partition(),
            revision,
            "waiting for the definitions"
        );
    }
    Ok(workshop.snapshots.current())
}

/// What a batch needs to know of what is stored.
struct Wanted {
    entities: Vec<entities::EntityKey>,
    message_ids: Vec<String>,
    events: Vec<EventId>,
}

async fn load_stored(workshop: &Workshop, lease: &Lease, wanted: &Wanted) -> Result<Stored, GiveUp> {
    let mut back_off = BackOff::usual();
    loop {
        match load(&workshop.store, wanted).await {
            Ok(stored) => return Ok(stored),
            Err(error) => {
                workshop.metrics.store_retries.with_label_values(&["load"]).inc();
                back_off.again(lease, &error).await?;
            }
        }
    }
}

async fn load(store: &Store, wanted: &Wanted) -> Result<Stored, StoreError> {
    Ok(Stored {
        entities: entities::load(store.reader(), &wanted.entities).await?,
        first_events: event_keys::load(store.reader(), &wanted.message_ids).await?,
        places: events::places(store.reader(), &wanted.events).await?,
        changes: HashMap::new(),
    })
}

/// Reads the events, as [`read_front`] does; where there is much to decode, off the asynchronous
/// threads.
async fn read_all(snapshot: &Arc<Snapshot>, opened: &[Opened], poison: bool) -> Vec<Reading> {
    if !is_large(opened.iter().map(|opened| &opened.arrival)) {
        return read_front(snapshot, opened, poison);
    }
    let (snapshot, opened) = (Arc::clone(snapshot), opened.to_vec());
    offloaded(true, move || read_front(&snapshot, &opened, poison)).await
}

/// Reads events in order, and at least the first one, up to that with which their entities would be
/// more than may be committed together.
fn read_front(snapshot: &Snapshot, opened: &[Opened], poison: bool) -> Vec<Reading> {
    let (mut readings, mut entities) = (Vec::new(), 0);
    for opened in opened {
        let reading = read_one(snapshot, opened, poison);
        entities += reading.entities();
        if entities > BATCH_ROWS && !readings.is_empty() {
            break;
        }
        readings.push(reading);
    }
    readings
}

fn read_one(snapshot: &Snapshot, opened: &Opened, poison: bool) -> Reading {
    match &opened.unreadable {
        _ if poison => Reading::Failed(Failure::new(
            "poison",
            "processing it ended the process several times",
        )),
        Some(failure) => Reading::Failed(failure.clone()),
        None if opened.is_held => Reading::Held,
        None => read(snapshot, &opened.arrival.event),
    }
}
