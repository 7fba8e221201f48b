//! Writes to a parked stream that has replicas: gathered into batches, all of a batch or nothing.

use std::collections::BTreeSet;

use hookrail_broker::{Append, ParkedStore, ReaderError};
use hookrail_domain::ids::DeliveryId;
use hookrail_domain::lane::{HoldReason, LaneState, ParkedSubject, TierKey};
use hookrail_domain::retry::Progress;
use tokio::task::JoinSet;

use crate::nats::Nats;
use crate::parked::{destination, lane, owner, parked};

/// Appends deliveries with these numbers and sizes at once, each to a lane of its own.
async fn append_at_once(
    store: &ParkedStore,
    numbers: std::ops::Range<u64>,
    size: usize,
) -> Vec<(u64, Result<Append, ReaderError>)> {
    let mut appends = JoinSet::new();
    for number in numbers {
        let store = store.clone();
        appends.spawn(async move {
            let to = ParkedSubject::Lane(lane(number));
            (number, store.append(to, &parked(number, size)).await)
        });
    }
    appends.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_at_once_learns_its_own_place() {
    let nats = Nats::start_three();
    let broker = nats.broker().await;
    let (_worker, _reader, store) = owner(&nats, &broker).await;
    let mut states = JoinSet::new();
    // Several states of one lane may not share a batch.
    for number in 0..20 {
        let store = store.clone();
        let state = LaneState {
            reason: HoldReason::Retry,
            delivery: DeliveryId::from_u128(number),
            progress: Progress::default(),
        };
        states.spawn(async move { store.write_state(lane(7), &state).await });
    }
    let appended = append_at_once(&store, 1..1_001, 10).await;
    let mut sequences = BTreeSet::new();
    for (number, append) in appended {
        let Ok(Append::Stored(sequence)) = append else {
            panic!("{number}: {append:?}");
        };
        let found = store.get(sequence).await.unwrap().unwrap();
        assert_eq!(found.parked, parked(number, 10));
        sequences.insert(sequence);
    }
    assert_eq!(sequences.len(), 1_000);
    for written in states.join_all().await {
        assert!(matches!(written, Ok(Append::Stored(_))), "{written:?}");
    }
    let found = store.load().await.unwrap();
    assert_eq!(found.set.lanes.len(), 1_000);
    let with_state = found.set.lanes.iter().filter(|lane| lane.state.is_some());
    assert_eq!(with_state.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writes_behind_a_newer_owner_none_is_stored() {
    let nats = Nats::start_three();
    let broker = nats.broker().await;
    let (_worker, _reader, store) = owner(&nats, &broker).await;
    let client = async_nats::connect(&nats.settings().urls[0]).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let fence = broker.names().fence_subject(0);
    let moved = jetstream.publish(fence, "999999".into()).await.unwrap();
    moved.await.unwrap();
    for (number, append) in append_at_once(&store, 0..100, 10).await {
        assert!(
            matches!(append, Err(ReaderError::Fenced { .. })),
            "{number}: {append:?}"
        );
    }
    for number in 0..100 {
        assert_eq!(store.first(lane(number)).await.unwrap(), None, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_refuses_whole_batches_and_takes_again_once_there_is_room() {
    let nats = Nats::start_three();
    let mut settings = nats.settings();
    settings.limits.parked_max_bytes = 2 * 1024 * 1024;
    let broker = nats.broker_with(&settings).await;
    let (_worker, _reader, store) = owner(&nats, &broker).await;
    let appended = append_at_once(&store, 0..64, 100_000).await;
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for (number, append) in appended {
        match append.unwrap() {
            Append::Stored(sequence) => kept.push((number, sequence)),
            Append::Refused { .. } => refused.push(number),
        }
    }
    assert!(!refused.is_empty());
    for number in &refused {
        assert_eq!(store.first(lane(*number)).await.unwrap(), None, "{number}");
    }
    for (number, sequence) in kept {
        assert_eq!(
            store.first(lane(number)).await.unwrap().unwrap().sequence,
            sequence
        );
        store.delete(sequence).await.unwrap();
    }
    let to = ParkedSubject::Tier(destination(), TierKey::Step(1));
    let again = store.append(to, &parked(1, 100_000)).await.unwrap();
    assert!(matches!(again, Append::Stored(_)), "{again:?}");
}
