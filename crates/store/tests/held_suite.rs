//! What paused sources hold, by the same tests on SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

mod databases;

use std::collections::BTreeMap;

use databases::each_database;
use hookrail_domain::{
    delivery::DeliveryStatus,
    event::{Body, Event, EventStatus, Origin},
    ids::{DeliveryId, DestinationId, EventId, SourceId, WorkspaceId},
    journal::{DeliveryFacts, StateRecord},
};
use hookrail_store::{
    Store, deliveries,
    events::{self, EventWrite},
    held_events::{self, HeldSum, HeldWrite},
    partition_progress,
    queries::source_status,
    source_counters::{self, Counts},
    trim::{self, Owner, Page},
};

const ONE: SourceId = SourceId::from_u128(1);
const OTHER: SourceId = SourceId::from_u128(2);

fn held(partition: u32, source: SourceId, sequence: u64, bytes: u64) -> HeldWrite {
    HeldWrite {
        partition,
        sequence,
        source,
        event: EventId::from_u128(u128::from(sequence)),
        stored_at: 1_000 + i64::try_from(sequence).unwrap(),
        bytes,
        message: vec![0, 0xff, u8::try_from(sequence).unwrap()],
    }
}

async fn insert(store: &Store, writes: &[HeldWrite]) {
    let tx = store.write().await.unwrap();
    held_events::insert(&*tx, writes).await.unwrap();
    tx.commit().await.unwrap();
}

async fn release(store: &Store, partition: u32, source: SourceId, through: u64) -> u64 {
    let tx = store.write().await.unwrap();
    let released = held_events::release(&*tx, partition, source, through)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    released
}

async fn sequences(store: &Store, sources: &[SourceId], most: usize, max_bytes: u64) -> Vec<i64> {
    let rows = held_events::first(store.reader(), 3, sources, most, max_bytes)
        .await
        .unwrap();
    rows.iter().map(|row| row.sequence).collect()
}

#[tokio::test]
async fn held_events_come_back_in_order_as_they_were_until_they_are_released() {
    each_database(|store| async move {
        insert(
            &store,
            &[held(3, ONE, 2, 10), held(3, OTHER, 4, 10), held(3, ONE, 6, 10)],
        )
        .await;
        insert(
            &store,
            &[held(3, OTHER, 5, 10), held(3, ONE, 9, 70), held(4, ONE, 1, 1)],
        )
        .await;
        let both = [OTHER, ONE];
        for (sources, most, max_bytes, expected) in [
            (&both[..], 10, 1_000, &[2, 4, 5, 6, 9][..]),
            (&both, 3, 1_000, &[2, 4, 5]),
            (&both, 10, 35, &[2, 4, 5]),
            (&both, 10, 0, &[2]),
            (&[ONE], 10, 1_000, &[2, 6, 9]),
            (&[ONE], 2, 1_000, &[2, 6]),
            (&[], 10, 1_000, &[]),
        ] {
            let found = sequences(&store, sources, most, max_bytes).await;
            assert_eq!(found, expected, "{most} {max_bytes}");
        }
        let found = held_events::find(store.reader(), 3, ONE, 6)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (found.event, found.stored_at, found.message, found.source),
            (
                EventId::from_u128(6).to_string(),
                1_006,
                vec![0, 0xff, 6],
                ONE.to_string()
            )
        );
        let of_partition = held_events::of_partition(store.reader(), 3).await.unwrap();
        assert_eq!(of_partition, BTreeMap::from([(ONE, 3), (OTHER, 2)]));
        let sum = |events, bytes| HeldSum { events, bytes };
        let sums = held_events::by_source(store.reader()).await.unwrap();
        assert_eq!(sums, BTreeMap::from([(ONE, sum(4, 91)), (OTHER, sum(2, 20))]));
        assert_eq!(held_events::oldest(store.reader()).await.unwrap(), Some(1_001));

        assert_eq!(release(&store, 3, ONE, 6).await, 2);
        assert_eq!(release(&store, 3, ONE, 6).await, 0, "once");
        assert_eq!(sequences(&store, &both, 10, 1_000).await, [4, 5, 9]);
        assert!(
            held_events::find(store.reader(), 3, ONE, 6)
                .await
                .unwrap()
                .is_none()
        );
        let sums = held_events::by_source(store.reader()).await.unwrap();
        assert_eq!(sums, BTreeMap::from([(ONE, sum(2, 71)), (OTHER, sum(2, 20))]));
        for (partition, source, through, expected) in [(3, ONE, 9, 1), (3, OTHER, 99, 2), (4, ONE, 1, 1)] {
            assert_eq!(release(&store, partition, source, through).await, expected);
        }
        assert!(held_events::by_source(store.reader()).await.unwrap().is_empty());
        assert_eq!(held_events::oldest(store.reader()).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn only_the_newest_owner_may_take_events_off_what_is_held() {
    each_database(|store| async move {
        partition_progress::take_partition(&store, 3, 7).await.unwrap();
        for (epoch, expected) in [(6, false), (7, true), (8, false)] {
            let tx = store.write().await.unwrap();
            let owned = partition_progress::still_owned(&*tx, 3, epoch).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(owned, expected, "{epoch}");
        }
        let taken = partition_progress::take_partition(&store, 3, 9).await.unwrap();
        assert_eq!(taken, Some(0), "the sequence stays");
    })
    .await;
}

fn event(number: u64) -> Event {
    Event {
        id: EventId::from_u128(u128::from(number)),
        workspace: WorkspaceId::from_u128(1),
        source: Some(ONE),
        event_type: "webhook.received".into(),
        revision: 1,
        accepted_at: 5,
        method: "POST".into(),
        query: vec![],
        headers: vec![],
        content_type: None,
        body: Body::inline(&b"{}"[..]),
        remote_addr: None,
        credential: None,
        ordering_key: None,
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: String::new(),
        reply: None,
        internal: false,
    }
}

fn write(event: &Event, status: EventStatus, processed_at: i64) -> EventWrite<'_> {
    EventWrite {
        event,
        partition: 3,
        sequence: 6,
        status,
        error: (status == EventStatus::Failed).then_some(("code", "detail")),
        duplicate_of: None,
        processed_at,
    }
}

/// The events that trimming by age lets go.
async fn may_go(store: &Store) -> Vec<String> {
    let page = Page {
        owner: Owner::Any,
        after: None,
        end: "z".into(),
        settled_before: i64::MAX,
        most: 10,
    };
    trim::events::look_at(store.reader(), &page, None)
        .await
        .unwrap()
        .may_go
}

#[tokio::test]
async fn what_is_held_never_goes_by_age_and_ends_once() {
    each_database(|store| async move {
        let event = event(6);
        let tx = store.write().await.unwrap();
        events::insert(&*tx, &[write(&event, EventStatus::Received, 0)])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let id = event.id.to_string();
        assert!(may_go(&store).await.is_empty());
        let tx = store.write().await.unwrap();
        let gone = trim::events::go(&*tx, std::slice::from_ref(&id), i64::MAX)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(gone.events, 0);
        for (status, at) in [(EventStatus::Failed, 10), (EventStatus::Processed, 20)] {
            let tx = store.write().await.unwrap();
            events::settle_held(&*tx, &[write(&event, status, at)])
                .await
                .unwrap();
            tx.commit().await.unwrap();
            let row = events::load(store.reader(), &[event.id]).await.unwrap().remove(0);
            assert_eq!(
                (row.status.as_str(), row.error_code.as_deref(), row.processed_at),
                ("failed", Some("code"), 10),
                "what it has come to stays"
            );
        }
        assert_eq!(may_go(&store).await, [id]);
    })
    .await;
}

/// A delivery of the event at this sequence of partition 3, delivered long ago.
fn delivered(sequence: u64) -> StateRecord {
    let delivery = DeliveryFacts {
        id: DeliveryId::from_u128(u128::from(sequence)),
        event: EventId::from_u128(u128::from(sequence)),
        event_type: "webhook.received".into(),
        workspace: WorkspaceId::from_u128(1),
        source: Some(ONE),
        destination: DestinationId::from_u128(1),
        fetcher: None,
        route: None,
        entity: None,
        lane_key: None,
        origin: Origin {
            partition: 3,
            sequence,
            index: 0,
        },
        accepted_at: 1,
        replay: None,
    };
    StateRecord {
        delivery,
        status: DeliveryStatus::Delivered,
        epoch: 1,
        attempts: 1,
        next_at: None,
        settled_at: Some(1),
        failure: None,
        generation: 0,
        attempt: None,
    }
}

#[tokio::test]
async fn a_delivery_stays_while_its_event_is_still_held() {
    each_database(|store| async move {
        partition_progress::take_partition(&store, 3, 1).await.unwrap();
        let tx = store.write().await.unwrap();
        partition_progress::advance(&*tx, 3, 1, 9).await.unwrap();
        deliveries::raise(&*tx, &[delivered(6), delivered(7)])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        insert(&store, &[held(3, ONE, 6, 1)]).await;
        let page = Page {
            owner: Owner::Any,
            after: None,
            end: "z".into(),
            settled_before: i64::MAX,
            most: 10,
        };
        let may_go = async || {
            let seen = trim::deliveries::look_at(store.reader(), &page).await.unwrap();
            seen.may_go.len()
        };
        assert_eq!(may_go().await, 1);
        release(&store, 3, ONE, 6).await;
        assert_eq!(may_go().await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_sources_figures_count_what_is_held_in_all_partitions() {
    each_database(|store| async move {
        partition_progress::take_partition(&store, 3, 1).await.unwrap();
        insert(
            &store,
            &[held(3, ONE, 2, 1), held(4, ONE, 2, 1), held(4, OTHER, 3, 1)],
        )
        .await;
        let mut counts = Counts::default();
        counts.add(EventStatus::Processed, 10);
        counts.add(EventStatus::Received, 20);
        let tx = store.write().await.unwrap();
        source_counters::raise(&*tx, &[(ONE, counts)].into())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let progress = source_status::progress(store.reader(), ONE).await.unwrap();
        assert_eq!(progress.held, 2);
        assert_eq!(
            (progress.counts.processed, progress.counts.last_event_at),
            (1, 20)
        );
    })
    .await;
}
