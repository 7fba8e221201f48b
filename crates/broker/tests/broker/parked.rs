//! The parked stream: appends under the fence, reads, deletes, and what a takeover finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookrail_broker::codec::ParkedDelivery;
use hookrail_broker::{Append, Broker, DeliveryReader, ParkedStore, ReaderError};
use hookrail_domain::delivery::Delivery;
use hookrail_domain::event::{Body, Origin};
use hookrail_domain::ids::{DeliveryId, DestinationId, EventId, WorkspaceId};
use hookrail_domain::lane::{HoldReason, LaneId, LaneKey, LaneState, ParkedSubject, TierKey};
use hookrail_domain::ownership::Role;
use hookrail_domain::retry::Progress;

use crate::nats::{Nats, Worker};

pub(crate) fn destination() -> DestinationId {
    DestinationId::from_u128(5)
}

pub(crate) fn lane(number: u64) -> LaneId {
    LaneId {
        destination: destination(),
        key: LaneKey::from_u64(number),
    }
}

pub(crate) fn parked(number: u64, size: usize) -> ParkedDelivery {
    let delivery = Delivery {
        id: DeliveryId::from_u128(u128::from(number)),
        event: EventId::from_u128(2),
        event_type: "entity.updated".into(),
        workspace: WorkspaceId::from_u128(3),
        source: None,
        destination: destination(),
        route: None,
        entity: None,
        lane_key: Some("k".into()),
        origin: Origin {
            partition: 0,
            sequence: number,
            index: 0,
        },
        revision: 40 + number,
        accepted_at: 0,
        content_type: None,
        headers: Vec::new(),
        body: Body::inline(vec![7; size]),
        traceparent: String::new(),
        replay: None,
        reply: None,
        generation: 0,
        attempts_before: 0,
        was_held: false,
        fetcher: None,
    };
    ParkedDelivery {
        delivery: Arc::new(delivery),
        queue_sequence: number,
        progress: Progress {
            attempts: 2,
            first_attempt_at: 10,
            next_at: 20,
        },
        held: number == 2,
    }
}

pub(crate) fn stored(append: Append) -> u64 {
    match append {
        Append::Stored(sequence) => sequence,
        Append::Refused { reason } => panic!("refused: {reason}"),
    }
}

pub(crate) async fn owner(nats: &Nats, broker: &Broker) -> (Worker, DeliveryReader, ParkedStore) {
    let mut worker = nats.worker("one", Role::Dispatcher, 1).await;
    let lease = worker.gained().await;
    let reader = DeliveryReader::open(broker, &lease).await.unwrap();
    let store = reader.parked_store();
    (worker, reader, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_deliveries_come_back_in_order_and_go_by_their_sequence() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let (_worker, _reader, store) = owner(&nats, &broker).await;
    let of_lane = ParkedSubject::Lane(lane(u64::MAX));
    let tier = ParkedSubject::Tier(destination(), TierKey::Step(3));
    let mut sequences = Vec::new();
    for number in 1..=5 {
        sequences.push(stored(store.append(of_lane, &parked(number, 10)).await.unwrap()));
        stored(store.append(tier, &parked(100 + number, 10)).await.unwrap());
    }
    for (index, sequence) in sequences.iter().enumerate() {
        let first = store.first(lane(u64::MAX)).await.unwrap().unwrap();
        assert_eq!(
            (first.sequence, &first.parked),
            (*sequence, &parked(index as u64 + 1, 10))
        );
        assert_eq!(store.get(*sequence).await.unwrap(), Some(first));
        store.delete(*sequence).await.unwrap();
        // What is gone already is as good as deleted.
        store.delete(*sequence).await.unwrap();
    }
    store.delete(1_000_000).await.unwrap();
    assert_eq!(store.first(lane(u64::MAX)).await.unwrap(), None);
    assert_eq!(store.get(sequences[0]).await.unwrap(), None);
    let two = store.tier(destination(), TierKey::Step(3), 0, 2).await.unwrap();
    let rest = store
        .tier(destination(), TierKey::Step(3), two[1].sequence, 64)
        .await
        .unwrap();
    let numbers: Vec<u64> = two
        .iter()
        .chain(&rest)
        .map(|found| found.parked.queue_sequence)
        .collect();
    assert_eq!(numbers, [101, 102, 103, 104, 105]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_owner_can_write_nothing_behind_a_newer_one() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let (worker, reader, _) = owner(&nats, &broker).await;
    // The broker alone refuses: the lease of this store is still good.
    let old_store = reader.parked_store();
    stored(
        old_store
            .append(ParkedSubject::Lane(lane(1)), &parked(1, 10))
            .await
            .unwrap(),
    );
    let fence = broker.names().fence_subject(0);
    let client = async_nats::connect(&nats.settings().urls[0]).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    jetstream
        .publish(fence, "999999".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let append = old_store
        .append(ParkedSubject::Lane(lane(1)), &parked(2, 10))
        .await;
    assert!(matches!(append, Err(ReaderError::Fenced { .. })), "{append:?}");
    let state = LaneState {
        reason: HoldReason::Retry,
        delivery: DeliveryId::from_u128(1),
        progress: Progress::default(),
    };
    let written = old_store.write_state(lane(1), &state).await;
    assert!(matches!(written, Err(ReaderError::Fenced { .. })), "{written:?}");
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_finds_lanes_tiers_and_states_of_its_partition() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let (worker, _reader, store) = owner(&nats, &broker).await;
    assert_eq!(store.load().await.unwrap().set.lanes, []);
    let mut last = BTreeMap::new();
    for number in 1..=300_u64 {
        let of_lane = lane(number % 100);
        stored(
            store
                .append(ParkedSubject::Lane(of_lane), &parked(number, 10))
                .await
                .unwrap(),
        );
        last.insert(of_lane, number);
    }
    let first = store.first(lane(7)).await.unwrap().unwrap();
    store.delete(first.sequence).await.unwrap();
    for number in 0..3 {
        stored(
            store
                .append(
                    ParkedSubject::Tier(destination(), TierKey::Step(1)),
                    &parked(number, 10),
                )
                .await
                .unwrap(),
        );
    }
    let state = |attempts| LaneState {
        reason: HoldReason::Held,
        delivery: DeliveryId::from_u128(107),
        progress: Progress {
            attempts,
            ..Progress::default()
        },
    };
    stored(store.write_state(lane(7), &state(1)).await.unwrap());
    let at = stored(store.write_state(lane(7), &state(2)).await.unwrap());
    let alone = stored(store.write_state(lane(5_000), &state(3)).await.unwrap());
    let gone = stored(store.write_state(lane(8), &state(3)).await.unwrap());
    store.delete(gone).await.unwrap();

    let found = store.load().await.unwrap();
    assert_eq!(found.revision, 40 + 300);
    assert_eq!(found.set.tiers, [(destination(), TierKey::Step(1), 3)]);
    assert_eq!(found.set.lanes.len(), 101);
    for found in &found.set.lanes {
        let number = found.lane.key.as_u64();
        let (count, state) = match number {
            7 => (2, Some((state(2), at))),
            5_000 => (0, Some((state(3), alone))),
            _ => (3, None),
        };
        let last = last.get(&found.lane).copied().unwrap_or_default();
        assert_eq!(
            (found.count, found.last_sequence, found.state),
            (count, last, state),
            "{number}"
        );
    }
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_parked_stream_refuses_and_takes_again_once_there_is_room() {
    let nats = Nats::start();
    let mut settings = nats.settings();
    settings.limits.parked_max_bytes = 2 * 1024 * 1024;
    let broker = Broker::connect(&settings, "test").await.unwrap();
    broker.ensure_topology().await.unwrap();
    let (_worker, _reader, store) = owner(&nats, &broker).await;
    let to = ParkedSubject::Lane(lane(1));
    let first = stored(store.append(to, &parked(1, 900_000)).await.unwrap());
    stored(store.append(to, &parked(2, 900_000)).await.unwrap());
    // Room is left in the stream, but not for deliveries: states and fences have it.
    let full = store.append(to, &parked(3, 250_000)).await.unwrap();
    assert!(matches!(full, Append::Refused { .. }), "{full:?}");
    let state = LaneState {
        reason: HoldReason::Retry,
        delivery: DeliveryId::from_u128(1),
        progress: Progress::default(),
    };
    stored(store.write_state(lane(1), &state).await.unwrap());
    store.delete(first).await.unwrap();
    // How full the stream is, is asked once a second.
    for _ in 0..30 {
        if let Append::Stored(_) = store.append(to, &parked(3, 250_000)).await.unwrap() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("no room although something was deleted");
}
