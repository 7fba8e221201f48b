//! A page of events processed again, under today's definitions: failed ones are mended, deliveries are
//! planned anew, and entities get no older.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use hookrail_broker::codec;
use hookrail_domain::{
    delivery::MAX_DELIVERY_BODY_BYTES,
    event::EventStatus,
    ids::{EventId, SourceId},
    journal::DeliveryFacts,
    snapshot::Snapshot,
};
use hookrail_runtime::clock;
use hookrail_store::{
    StoreError, WriteTransaction, deliveries, entities, entity_versions, event_entities, event_keys,
    events::{self, EventChange, EventRow},
    replay_items::ReplayItem,
    source_counters::{self, Counts},
};

use crate::{
    consume_partition::Workshop,
    evaluate::{Arrival, Evaluation, Stored, Verdict, entity_keys, evaluate_again},
    evaluate_batch::{is_large, offloaded},
    fetch_bodies::fetch,
    jobs::JobError,
    publish_deliveries::DeliveryPublisher,
    read_event::{Reading, read},
    replay_deliveries::{PAGE_BYTES, fitting, has_room},
    replay_page::{Desk, Page},
    tell_events::Telling,
};

/// Bodies read from the log side by side.
const READS_AT_ONCE: usize = 8;
/// Failures that processing again would not mend, or must not try to.
const LASTING: [&str; 2] = ["poison", "idempotency.key_reused"];

/// Why an event is left alone that was not processed yet: its source is paused.
const HELD: &str = "held";

/// An event as it was stored, and its message.
struct Found {
    row: EventRow,
    arrival: Arrival,
}

/// An event that was evaluated again.
struct Again {
    row: EventRow,
    arrival: Arrival,
    evaluation: Evaluation,
}

/// Processes as many of the first `items` again as go together. With `alone` what the database refuses is
/// skipped.
pub(crate) async fn page(desk: &Desk<'_>, items: &[ReplayItem], alone: bool) -> Result<Page, JobError> {
    let reader = desk.workshop.store.reader();
    let ids: Vec<EventId> = items.iter().filter_map(|item| item.item.parse().ok()).collect();
    let rows = events::load(reader, &ids).await?;
    let mut rows: HashMap<String, EventRow> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
    let size = |item: &ReplayItem| rows.get(&item.item).map_or(0, |row| row.size.unsigned_abs());
    let sizes: Vec<u64> = items.iter().map(size).collect();
    let mut page = Page {
        taken: fitting(&sizes, PAGE_BYTES),
        ..Page::default()
    };
    let bytes: u64 = sizes[..page.taken].iter().sum();
    let _memory = match bytes > PAGE_BYTES {
        true => Some(desk.workshop.broker.large_memory(bytes).await),
        false => None,
    };
    let wanted = items[..page.taken].iter().map(|item| rows.remove(&item.item));
    let results = find(desk.workshop, wanted.collect()).await?;
    let skipped: Vec<Option<&str>> = results
        .iter()
        .map(|result| result.as_ref().err().copied())
        .collect();
    let found = results.into_iter().flatten().collect();
    let snapshot = desk.workshop.snapshots.current();
    let again = evaluate(desk, &snapshot, found).await?;
    page.taken = taken(items, page.taken, &again);
    for reason in skipped[..page.taken].iter().flatten() {
        page.skip(reason);
    }
    let planned = || again.done.iter().flat_map(|again| &again.evaluation.deliveries);
    if !has_room(desk.workshop, &snapshot, planned()).await? {
        return Ok(Page {
            no_room: true,
            ..Page::default()
        });
    }
    let mut done = again.done;
    publish(desk, &snapshot, &mut done).await?;
    let items = &items[..page.taken];
    match commit(desk, &snapshot, items, &done, &mut page).await {
        Err(JobError::Store(error)) if alone && error.is_data_error() => {
            tracing::error!(replay = %desk.replay, %error, "the database refuses an event's data; it is skipped");
            let mut page = Page {
                taken: page.taken,
                ..Page::default()
            };
            page.skip("store.refused");
            commit(desk, &snapshot, items, &[], &mut page).await?;
            Ok(page)
        }
        committed => committed.map(|()| page),
    }
}

/// The page's events with their messages, or why they can't be processed again.
async fn find(
    workshop: &Workshop,
    rows: Vec<Option<EventRow>>,
) -> Result<Vec<Result<Found, &'static str>>, JobError> {
    let read = rows.into_iter().map(|row| async move {
        let Some(row) = row else {
            return Ok::<_, JobError>(Err("not_found"));
        };
        if row
            .error_code
            .as_deref()
            .is_some_and(|code| LASTING.contains(&code))
        {
            return Ok(Err("lasting_failure"));
        }
        if row.status == EventStatus::Received.as_str() {
            return Ok(Err(HELD));
        }
        if row.status == EventStatus::Duplicate.as_str() {
            return Ok(Err("duplicate"));
        }
        let partition = u32::try_from(row.partition).unwrap_or(u32::MAX);
        let Some(message) = workshop
            .broker
            .raw_get(partition, row.sequence.unsigned_abs())
            .await?
        else {
            return Ok(Err("payload_expired"));
        };
        Ok(match codec::decode_event(&message.payload) {
            Ok(mut event) if event.id.to_string() == row.id => {
                match fetch(&workshop.broker, &event.body).await? {
                    Some(body) => event.body = body,
                    None => return Ok(Err("payload_expired")),
                }
                let arrival = Arrival {
                    event,
                    partition,
                    sequence: message.sequence,
                    stored_at: message.timestamp_ms,
                };
                Ok(Found { row, arrival })
            }
            // What lies at its place now is another one, where the log was restored from a copy.
            Ok(_) => Err("payload_expired"),
            Err(_) => Err("event.unreadable"),
        })
    });
    stream::iter(read.collect::<Vec<_>>())
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await
}

/// What was evaluated, and the first event that was left out since it would have been too much at once.
struct Evaluated {
    done: Vec<Again>,
    left: Option<String>,
}

async fn evaluate(
    desk: &Desk<'_>,
    snapshot: &Arc<Snapshot>,
    found: Vec<Found>,
) -> Result<Evaluated, JobError> {
    let (rows, arrivals): (Vec<EventRow>, Vec<Arrival>) =
        found.into_iter().map(|found| (found.row, found.arrival)).unzip();
    let (snapshot, arrivals) = (Arc::clone(snapshot), Arc::new(arrivals));
    let readings = {
        let (snapshot, arrivals) = (Arc::clone(&snapshot), Arc::clone(&arrivals));
        let read_all = move || -> Vec<Reading> {
            let events = arrivals.iter().map(|arrival| &arrival.event);
            events.map(|event| read(&snapshot, event)).collect()
        };
        // Payloads may be large: not on the threads that live events are processed on.
        match tokio::task::spawn_blocking(read_all).await {
            Ok(readings) => readings,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    };
    let stored = load(desk.workshop, &snapshot, &arrivals, &readings).await?;
    let replay = desk.replay;
    let evaluate_all = {
        let (snapshot, arrivals) = (Arc::clone(&snapshot), Arc::clone(&arrivals));
        let limit = MAX_DELIVERY_BODY_BYTES as usize;
        move || evaluate_again(&snapshot, replay, &arrivals, readings, stored, limit)
    };
    let evaluations = offloaded(is_large(arrivals.iter()), evaluate_all).await;
    let left = rows.get(evaluations.len()).map(|row| row.id.clone());
    let arrivals = Arc::unwrap_or_clone(arrivals);
    let done = rows.into_iter().zip(arrivals).zip(evaluations);
    let done = done.map(|((row, arrival), evaluation)| Again {
        row,
        arrival,
        evaluation,
    });
    Ok(Evaluated {
        done: done.collect(),
        left,
    })
}

async fn load(
    workshop: &Workshop,
    snapshot: &Snapshot,
    arrivals: &[Arrival],
    readings: &[Reading],
) -> Result<Stored, StoreError> {
    if arrivals.is_empty() {
        return Ok(Stored::default());
    }
    let reader = workshop.store.reader();
    let keys = entity_keys(snapshot, arrivals, readings);
    let message_ids: Vec<String> = arrivals
        .iter()
        .flat_map(|arrival| arrival.event.keys())
        .map(|key| key.id)
        .collect();
    let ids: Vec<EventId> = arrivals.iter().map(|arrival| arrival.event.id).collect();
    Ok(Stored {
        entities: entities::load(reader, &keys).await?,
        first_events: event_keys::load(reader, &message_ids).await?,
        places: HashMap::new(),
        changes: event_entities::changes_of(reader, &ids).await?,
    })
}

/// How many items the page has come to be: up to the first event that was left out.
fn taken(items: &[ReplayItem], taken: usize, again: &Evaluated) -> usize {
    let left = again.left.as_ref();
    let place = left.and_then(|left| items.iter().position(|item| item.item == *left));
    place.unwrap_or(taken).min(taken)
}

async fn publish(desk: &Desk<'_>, snapshot: &Snapshot, again: &mut [Again]) -> Result<(), JobError> {
    let publisher = DeliveryPublisher {
        publisher: &desk.workshop.broker.publisher(),
        lease: desk.lease,
        snapshot,
        partitions: desk.workshop.broker.settings().partitions,
        metrics: &desk.workshop.metrics,
    };
    let planned = again.iter().flat_map(|again| &again.evaluation.deliveries);
    for dead in publisher.publish(planned.collect()).await? {
        let of_event = again
            .iter_mut()
            .find(|again| again.arrival.event.id == dead.delivery.event);
        if let Some(again) = of_event {
            let deliveries = &mut again.evaluation.deliveries;
            deliveries.retain(|delivery| delivery.id != dead.delivery.id);
            again.evaluation.stillborn.push(dead);
        }
    }
    Ok(())
}

async fn commit(
    desk: &Desk<'_>,
    snapshot: &Snapshot,
    items: &[ReplayItem],
    again: &[Again],
    page: &mut Page,
) -> Result<(), JobError> {
    for event in again {
        match &event.evaluation.verdict {
            Verdict::Failed(failure) => page.skip(failure.code),
            Verdict::Duplicate(_) | Verdict::Again => page.skip("duplicate"),
            Verdict::Processed | Verdict::Filtered => page.replayed += 1,
            Verdict::Held => page.skip(HELD),
        }
    }
    let telling = Telling {
        snapshot,
        partitions: desk.workshop.broker.settings().partitions,
    };
    let transaction = desk.workshop.store.write().await?;
    if !desk.advance(&transaction, items, page).await? {
        transaction.rollback().await?;
        return Err(crate::error::GiveUp::Replaced.into());
    }
    write(&transaction, again).await?;
    let stillborn = again.iter().flat_map(|event| &event.evaluation.stillborn);
    telling.of_deaths(&transaction, stillborn).await?;
    Ok(transaction.commit().await?)
}

async fn write(transaction: &WriteTransaction, again: &[Again]) -> Result<(), StoreError> {
    let connection = &**transaction;
    let of = || again.iter().map(|event| &event.evaluation);
    let written = of().flat_map(|e| e.entities.iter().cloned()).collect();
    entities::upsert(connection, written).await?;
    let versions: Vec<_> = of().flat_map(|e| &e.versions).collect();
    let trims: Vec<_> = of().flat_map(|e| &e.trims).collect();
    entity_versions::write(connection, &versions, &trims).await?;
    let about: Vec<_> = of().flat_map(|e| e.about.iter().cloned()).collect();
    event_entities::insert(connection, &about).await?;
    let planned: Vec<_> = of()
        .flat_map(|e| e.deliveries.iter().map(DeliveryFacts::from))
        .collect();
    deliveries::insert_planned(connection, &planned).await?;
    let stillborn: Vec<_> = of().flat_map(|e| e.stillborn.iter().cloned()).collect();
    deliveries::raise(connection, &stillborn).await?;
    mend(transaction, again).await
}

/// Notes what became of each event, where that is better known now. One that was processed stays so: what
/// it did then is done. Counters go with it, so that they still add up.
async fn mend(transaction: &WriteTransaction, again: &[Again]) -> Result<(), StoreError> {
    let mut counts: BTreeMap<SourceId, Counts> = BTreeMap::new();
    for event in again {
        let verdict = &event.evaluation.verdict;
        if event.row.status == EventStatus::Processed.as_str()
            || matches!(verdict, Verdict::Duplicate(_) | Verdict::Again | Verdict::Held)
        {
            continue;
        }
        let error = match verdict {
            Verdict::Failed(failure) => Some((failure.code, failure.detail.as_str())),
            _ => None,
        };
        let change = EventChange {
            event: event.arrival.event.id,
            before: &event.row.status,
            status: verdict.status(),
            error,
            processed_at: clock::now_ms(),
        };
        let changed = events::change(&**transaction, &change).await?;
        // What a source's fetcher was answered is nothing that the source received.
        let received = event
            .arrival
            .event
            .source
            .filter(|_| !event.arrival.event.internal);
        if let (true, Some(source)) = (changed, received) {
            let counts = counts.entry(source).or_default();
            counts.take_out(&event.row.status);
            counts.add(verdict.status(), event.arrival.event.accepted_at);
        }
    }
    source_counters::raise(&**transaction, &counts).await?;
    Ok(())
}
