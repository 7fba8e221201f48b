//! Reading, trimming and searching raw partitions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hookrail_broker::{Broker, FoundMark, OutMessage, PoisonMark, RawReader, ReaderError};
use hookrail_domain::ownership::Role;

use crate::nats::Nats;

async fn publish(broker: &Broker, source: &str, ids: std::ops::Range<u32>) {
    let publisher = broker.publisher();
    for i in ids {
        let id = format!("evt_{i}");
        let message = OutMessage {
            id: &id,
            body_hash: None,
            event_id: Some(&id),
            payload: Bytes::from(id.clone()),
        };
        publisher.publish_event(0, source, message).await.unwrap();
    }
}

async fn read(reader: &mut RawReader, count: usize) -> Vec<u64> {
    let mut sequences = Vec::new();
    while sequences.len() < count {
        let batch = reader.next_batch(count - sequences.len(), usize::MAX);
        let batch = tokio::time::timeout(Duration::from_secs(10), batch).await;
        sequences.extend(batch.unwrap().unwrap().iter().map(|message| message.sequence));
    }
    sequences
}

fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a test's own clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_order_and_again_from_the_committed_one_after_a_takeover() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    publish(&broker, "src_1", 0..100).await;
    let mut first = nats.worker("one", Role::Processor, 1).await;
    let lease = first.gained().await;
    let mut reader = RawReader::open(&broker, &lease, 0).await.unwrap();
    assert_eq!(read(&mut reader, 60).await, (1..=60).collect::<Vec<_>>());
    reader.ack_through(40).await.unwrap();

    let mut second = nats.worker("two", Role::Processor, 1).await;
    first.ownership.give_up(&lease).await;
    drop(first);
    let newer = second.gained().await;
    let mut next = RawReader::open(&broker, &newer, 40).await.unwrap();
    assert_eq!(read(&mut next, 60).await, (41..=100).collect::<Vec<_>>());
    let refused = reader.next_batch(1, 1).await;
    assert!(
        matches!(refused, Err(ReaderError::Replaced { .. })),
        "{refused:?}"
    );
    let refused = RawReader::open(&broker, &lease, 40).await.map(|_| ());
    assert!(
        matches!(refused, Err(ReaderError::Replaced { .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_owners_open_pull_is_refused_though_its_lease_seems_good() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let mut worker = nats.worker("one", Role::Processor, 1).await;
    let old = worker.gained().await;
    let mut reader = RawReader::open(&broker, &old, 0).await.unwrap();
    // The same process claims again; to the old reader nothing but the broker says so.
    let waiting = tokio::spawn(async move { reader.next_batch(1, 1).await.map(|_| ()) });
    worker.ownership.give_up(&old).await;
    let new = worker.gained().await;
    let mut next = RawReader::open(&broker, &new, 0).await.unwrap();
    publish(&broker, "src_1", 0..3).await;
    assert_eq!(read(&mut next, 3).await, [1, 2, 3]);
    let refused = tokio::time::timeout(Duration::from_secs(15), waiting)
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(refused, Err(ReaderError::Replaced { .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_in_order_after_the_server_restarts() {
    let mut nats = Nats::start();
    let broker = nats.broker().await;
    let mut settings = crate::nats::ownership_settings("one", Role::Processor, 1);
    settings.ttl_ms = 20_000;
    let mut worker = crate::nats::Worker::start(&nats.settings(), settings).await;
    let lease = worker.gained().await;
    let mut reader = RawReader::open(&broker, &lease, 0).await.unwrap();
    publish(&broker, "src_1", 0..10).await;
    assert_eq!(read(&mut reader, 5).await, (1..=5).collect::<Vec<_>>());
    nats.kill_and_restart();
    publish(&broker, "src_1", 10..20).await;
    assert_eq!(read(&mut reader, 15).await, (6..=20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_counted_and_trimmed() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    publish(&broker, "src_1", 0..50).await;
    publish(&broker, "src_2", 50..60).await;
    let found = broker.find_event(0, "evt_55", now_ms()).await.unwrap().unwrap();
    assert_eq!((found.sequence, found.source.as_str()), (56, "src_2"));
    assert_eq!(broker.find_event(0, "evt_99", now_ms()).await.unwrap(), None);
    assert_eq!(broker.pending_by_source(0, "src_1", 20).await.unwrap(), 30);
    assert_eq!(broker.pending_by_source(0, "src_2", 55).await.unwrap(), 5);
    assert_eq!(broker.pending_by_source(0, "src_3", 0).await.unwrap(), 0);
    assert_eq!(broker.trim_raw(0, 20).await.unwrap(), 20);
    let state = broker.raw_state(0).await.unwrap();
    assert_eq!(
        (state.messages, state.first_sequence, state.last_sequence),
        (40, 21, 60)
    );
    assert_eq!(broker.raw_get(0, 20).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_trimmed_alone_and_what_is_old_is_found_past_the_gaps() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    publish(&broker, "src_1", 0..10).await;
    publish(&broker, "src_2", 10..40).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let between = now_ms();
    assert_eq!(broker.raw_since(0, between).await.unwrap(), 41, "all are older");
    tokio::time::sleep(Duration::from_millis(50)).await;
    publish(&broker, "src_1", 40..50).await;
    publish(&broker, "src_2", 50..60).await;
    let mut sources = broker.raw_sources(0).await.unwrap();
    sources.sort();
    assert_eq!(sources, ["src_1", "src_2"]);
    for (time, expected) in [(0, 1), (between, 41), (now_ms() + 1_000, 61)] {
        assert_eq!(broker.raw_since(0, time).await.unwrap(), expected, "{time}");
    }

    assert_eq!(broker.trim_raw_source(0, "src_2", 45).await.unwrap(), 30);
    assert_eq!(broker.trim_raw_source(0, "src_2", 45).await.unwrap(), 0);
    assert_eq!(broker.trim_raw_source(0, "src_3", 45).await.unwrap(), 0);
    let state = broker.raw_state(0).await.unwrap();
    assert_eq!((state.messages, state.first_sequence), (30, 1));
    assert!((between - 10_000..between).contains(&state.first_at));
    // The gap is between the old and the young: where it ends, the young begin.
    assert_eq!(broker.raw_since(0, between).await.unwrap(), 41);
    assert_eq!(broker.raw_get(0, 30).await.unwrap(), None);
    assert!(broker.raw_get(0, 10).await.unwrap().is_some());
    assert_eq!(broker.pending_by_source(0, "src_2", 0).await.unwrap(), 10);
    let found = broker.find_event(0, "evt_55", now_ms()).await.unwrap().unwrap();
    assert_eq!(found.sequence, 56);
    assert_eq!(broker.find_event(0, "evt_30", between).await.unwrap(), None);

    // With the young of a source gone too, nothing of another is taken for old.
    assert_eq!(broker.trim_raw_source(0, "src_1", 50).await.unwrap(), 20);
    assert_eq!(broker.raw_since(0, between).await.unwrap(), 51);
    assert_eq!(broker.raw_state(0).await.unwrap().first_sequence, 51);
    assert_eq!(broker.trim_raw(0, 60).await.unwrap(), 10);
    assert_eq!(
        broker.raw_since(0, between).await.unwrap(),
        61,
        "an empty log has nothing young"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_events_are_listed_by_source_up_to_a_limit() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    publish(&broker, "src_1", 0..3).await;
    publish(&broker, "src_2", 3..8).await;
    let queued = async |sources: &[&str], after, most| {
        let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
        let queued = broker.queued_events(0, &sources, after, most).await.unwrap();
        queued.map(|events| {
            events
                .into_iter()
                .map(|event| (event.sequence, event.event_id))
                .collect::<Vec<_>>()
        })
    };
    let event = |number: u64| (number + 1, format!("evt_{number}"));
    assert_eq!(queued(&[], 6, 9).await, Ok(vec![event(6), event(7)]));
    assert_eq!(queued(&["src_1"], 1, 2).await, Ok(vec![event(1), event(2)]));
    assert_eq!(queued(&["src_1", "src_2"], 0, 7).await, Err(8));
    assert_eq!(queued(&["src_3"], 0, 7).await, Ok(vec![]));
    assert_eq!(queued(&[], 8, 0).await, Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitions_mark_is_read_as_it_was_set() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    assert_eq!(broker.poison_mark(2).await.unwrap(), None);
    let mark = PoisonMark {
        sequence: 7,
        count: 2,
    };
    let revision = broker.set_poison_mark(2, mark, 0).await.unwrap().unwrap();
    let found = broker.poison_mark(2).await.unwrap();
    assert_eq!(found, Some(FoundMark { mark, revision }));
    let late = PoisonMark {
        sequence: 0,
        count: 0,
    };
    assert_eq!(broker.set_poison_mark(2, late, 0).await.unwrap(), None);
    assert_eq!(
        broker.poison_mark(2).await.unwrap(),
        found,
        "not by who read an older one"
    );
    assert_eq!(broker.poison_mark(1).await.unwrap(), None);
}
