//! Reading and acknowledging deliveries.

use std::time::Duration;

use bytes::Bytes;
use hookrail_broker::{Broker, DeliveryMessage, DeliveryReader, OutMessage, ReaderError};
use hookrail_domain::ownership::Role;

use crate::nats::Nats;

async fn publish(broker: &Broker, ids: std::ops::Range<u32>) {
    let publisher = broker.publisher();
    for i in ids {
        let id = format!("dlv_{i}");
        let message = OutMessage::plain(&id, Bytes::from(id.clone()));
        publisher
            .publish_delivery(0, "dst_1", "any lane *", message)
            .await
            .unwrap();
    }
}

async fn next(reader: &mut DeliveryReader) -> DeliveryMessage {
    let message = tokio::time::timeout(Duration::from_secs(15), reader.next()).await;
    message.expect("a delivery in time").unwrap()
}

async fn read(reader: &mut DeliveryReader, count: usize) -> Vec<u64> {
    let mut sequences = Vec::new();
    for _ in 0..count {
        sequences.push(next(reader).await.sequence);
    }
    sequences
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_unclean_takeover_all_unacknowledged_come_again_in_order() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    publish(&broker, 0..20).await;
    let mut first = nats.worker("one", Role::Dispatcher, 1).await;
    let lease = first.gained().await;
    let mut reader = DeliveryReader::open(&broker, &lease).await.unwrap();
    assert_eq!((reader.delivered_before(), reader.unclean()), (0, false));
    assert_eq!(read(&mut reader, 10).await, (1..=10).collect::<Vec<_>>());
    let acker = reader.acker();
    for sequence in [1, 3, 4] {
        acker.ack_confirmed(sequence).await.unwrap();
    }
    let mut second = nats.worker("two", Role::Dispatcher, 1).await;
    drop(first);
    let newer = second.gained().await;
    let mut next_reader = DeliveryReader::open(&broker, &newer).await.unwrap();
    assert!(next_reader.unclean() && next_reader.delivered_before() >= 10);
    let mut expected = vec![2];
    expected.extend(5..=20);
    assert_eq!(read(&mut next_reader, 17).await, expected);
    let refused = acker.ack_confirmed(5).await;
    assert!(
        matches!(refused, Err(ReaderError::Replaced { .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_owner_cannot_open_or_acknowledge_behind_a_newer_one() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    publish(&broker, 0..5).await;
    let mut worker = nats.worker("one", Role::Dispatcher, 1).await;
    let old = worker.gained().await;
    let mut old_reader = DeliveryReader::open(&broker, &old).await.unwrap();
    read(&mut old_reader, 2).await;
    worker.ownership.give_up(&old).await;
    let new = worker.gained().await;
    let mut new_reader = DeliveryReader::open(&broker, &new).await.unwrap();
    let refused = DeliveryReader::open(&broker, &old).await.map(|_| ());
    assert!(
        matches!(refused, Err(ReaderError::Replaced { .. })),
        "{refused:?}"
    );
    assert_eq!(read(&mut new_reader, 5).await, [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_survive_a_restart_of_the_server_and_nothing_is_given_twice() {
    let mut nats = Nats::start();
    let broker = nats.broker().await;
    publish(&broker, 0..10).await;
    let mut settings = crate::nats::ownership_settings("one", Role::Dispatcher, 1);
    settings.ttl_ms = 20_000;
    let mut worker = crate::nats::Worker::start(&nats.settings(), settings).await;
    let lease = worker.gained().await;
    let mut reader = DeliveryReader::open(&broker, &lease).await.unwrap();
    read(&mut reader, 5).await;
    nats.kill_and_restart();
    let acker = reader.acker();
    let acks = tokio::spawn(async move {
        for sequence in 1..=5 {
            acker.ack_confirmed(sequence).await.unwrap();
        }
    });
    assert_eq!(read(&mut reader, 5).await, [6, 7, 8, 9, 10]);
    let idle = async { reader.next().await.map(|message| message.sequence) };
    tokio::select! {
        done = acks => done.unwrap(),
        other = idle => panic!("given again: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_acknowledgements_are_under_way_at_once() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    publish(&broker, 0..300).await;
    let mut worker = nats.worker("one", Role::Dispatcher, 1).await;
    let lease = worker.gained().await;
    let mut reader = DeliveryReader::open(&broker, &lease).await.unwrap();
    let mut acks = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let sequence = next(&mut reader).await.sequence;
        let acker = reader.acker();
        acks.spawn(async move { acker.ack_confirmed(sequence).await });
    }
    for result in acks.join_all().await {
        result.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_wait_is_given_up_again_and_again_survives_a_restart_of_the_server() {
    let mut nats = Nats::start();
    let broker = nats.broker().await;
    publish(&broker, 0..3).await;
    let mut settings = crate::nats::ownership_settings("one", Role::Dispatcher, 1);
    settings.ttl_ms = 60_000;
    let mut worker = crate::nats::Worker::start(&nats.settings(), settings).await;
    let lease = worker.gained().await;
    let mut reader = DeliveryReader::open(&broker, &lease).await.unwrap();
    assert_eq!(read(&mut reader, 1).await, [1]);
    nats.kill_and_restart();
    publish(&broker, 3..5).await;
    let mut sequences = Vec::new();
    let began = std::time::Instant::now();
    while sequences.len() < 4 {
        // One look, then the wait is over: several round trips never fit into it.
        match futures::FutureExt::now_or_never(reader.next()) {
            Some(message) => sequences.push(message.unwrap().sequence),
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "read only {sequences:?}"
        );
    }
    assert_eq!(sequences, [2, 3, 4, 5]);
}
