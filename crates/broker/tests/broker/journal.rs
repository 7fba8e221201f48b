//! Handing records to the journal's writers.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use hookrail_broker::{JournalKind, JournalMark, JournalReader, JournalStream};

use crate::nats::Nats;

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_share_the_records_and_each_is_given_once() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let publisher = broker.publisher();
    for i in 0..50u8 {
        let id = format!("a{i}");
        let payload = Bytes::from(vec![i]);
        publisher
            .publish_journal(JournalKind::State, 1, &id, payload)
            .await
            .unwrap();
    }
    let mut one = JournalReader::open(&broker, JournalStream::Journal)
        .await
        .unwrap();
    let mut two = JournalReader::open(&broker, JournalStream::Journal)
        .await
        .unwrap();
    let mut seen = HashSet::new();
    while seen.len() < 50 {
        let (reader, batch) = tokio::select! {
            batch = one.next_batch(7) => (&one, batch.unwrap()),
            batch = two.next_batch(7) => (&two, batch.unwrap()),
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("only {} came", seen.len()),
        };
        assert!(batch.len() <= 7);
        for record in &batch {
            assert_eq!(record.kind, Some(JournalKind::State));
            assert!(seen.insert(record.payload[0]), "given twice");
        }
        reader.ack(&batch).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_deliveries_are_handed_over() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    broker
        .publisher()
        .publish_dead(2, "dlv_1", Bytes::from_static(b"body"))
        .await
        .unwrap();
    let mut reader = JournalReader::open(&broker, JournalStream::Dead).await.unwrap();
    let mark = JournalMark::now(&broker).await.unwrap();
    let batch = reader.next_batch(10).await.unwrap();
    assert!(
        !mark.is_written(&broker).await.unwrap(),
        "given, but not acknowledged"
    );
    assert_eq!(
        (batch[0].kind, batch[0].payload.as_ref()),
        (None, b"body".as_slice())
    );
    reader.ack(&batch).await.unwrap();
    let written = async { while !mark.is_written(&broker).await.unwrap() {} };
    tokio::time::timeout(Duration::from_secs(10), written)
        .await
        .unwrap();
}
