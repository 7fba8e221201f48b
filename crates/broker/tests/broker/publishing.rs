//! Outcomes of a publish.

use bytes::Bytes;
use hookrail_broker::{Broker, OutMessage, PublishError};

use crate::nats::Nats;

fn message(id: &str, size: usize) -> OutMessage<'_> {
    OutMessage {
        id,
        body_hash: Some("hash"),
        event_id: Some(id),
        payload: Bytes::from(vec![7; size]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_id_is_a_duplicate_that_names_the_first() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let publisher = broker.publisher();
    let first = publisher
        .publish_event(1, "src_1", message("evt_1", 10))
        .await
        .unwrap();
    let other = publisher
        .publish_event(1, "src_1", message("evt_2", 10))
        .await
        .unwrap();
    let again = publisher
        .publish_event(1, "src_1", message("evt_1", 10))
        .await
        .unwrap();
    assert!(!first.duplicate && again.duplicate && !again.retried);
    assert_eq!(
        (again.sequence, other.sequence),
        (first.sequence, first.sequence + 1)
    );
    let stored = broker.raw_get(1, first.sequence).await.unwrap().unwrap();
    assert_eq!(stored.headers.body_hash.as_deref(), Some("hash"));
    assert_eq!(stored.source, "src_1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_refuses_and_a_large_message_is_too_large() {
    let nats = Nats::start();
    let mut settings = nats.settings();
    settings.limits.raw_max_bytes = 2 * 1024 * 1024;
    let broker = Broker::connect(&settings, "test").await.unwrap();
    broker.ensure_topology().await.unwrap();
    let publisher = broker.publisher();
    let mut refused = None;
    for i in 0..4 {
        let id = format!("evt_{i}");
        if let Err(error) = publisher.publish_event(0, "src_1", message(&id, 900_000)).await {
            refused = Some(error);
            break;
        }
    }
    assert!(
        matches!(refused, Some(PublishError::Refused { .. })),
        "{refused:?}"
    );
    let large = publisher
        .publish_event(1, "src_1", message("evt_9", 2_000_000))
        .await;
    assert!(matches!(large, Err(PublishError::TooLarge { .. })), "{large:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_survives_a_restart_of_the_server_and_is_stored_once() {
    let mut nats = Nats::start();
    let broker = nats.broker().await;
    let publisher = broker.publisher();
    publisher
        .publish_event(0, "src_1", message("evt_0", 10))
        .await
        .unwrap();
    nats.kill_and_restart();
    let published = publisher
        .publish_event(0, "src_1", message("evt_1", 10))
        .await
        .unwrap();
    assert_eq!(published.sequence, 2);
    assert_eq!(broker.raw_state(0).await.unwrap().messages, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_outcome_is_unknown() {
    let nats = Nats::start();
    let mut settings = nats.settings();
    settings.publish_attempt_timeout_ms = 200;
    settings.publish_total_timeout_ms = 600;
    let broker = Broker::connect(&settings, "test").await.unwrap();
    broker.ensure_topology().await.unwrap();
    drop(nats);
    let outcome = broker
        .publisher()
        .publish_event(0, "src_1", message("evt_1", 10))
        .await;
    assert!(
        matches!(outcome, Err(PublishError::Unknown { .. })),
        "{outcome:?}"
    );
}
