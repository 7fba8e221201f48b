//! Creating and checking streams, and the installation's record.

use hookrail_broker::{Broker, BrokerError};

use crate::nats::Nats;

#[tokio::test(flavor = "multi_thread")]
async fn topology_is_created_once_even_by_many_starts_at_once() {
    let nats = Nats::start();
    let (a, b) = (nats.settings(), nats.settings());
    let start = |settings| async move {
        let broker = Broker::connect(&settings, "start").await.unwrap();
        broker.ensure_topology().await
    };
    let (first, second) = tokio::join!(start(a), start(b));
    first.unwrap();
    second.unwrap();
    nats.broker().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_limits_are_updated() {
    let nats = Nats::start();
    nats.broker().await;
    let mut settings = nats.settings();
    settings.limits.raw_max_bytes *= 2;
    let broker = Broker::connect(&settings, "test").await.unwrap();
    broker.ensure_topology().await.unwrap();
    let state = broker.raw_state(3).await.unwrap();
    assert_eq!(state.max_bytes, settings.limits.raw_max_bytes.unsigned_abs());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_replicas_are_refused_naming_stream_and_setting() {
    let nats = Nats::start();
    nats.broker().await;
    let mut settings = nats.settings();
    settings.replicas = 3;
    let broker = Broker::connect(&settings, "test").await.unwrap();
    let error = broker.ensure_topology().await.unwrap_err();
    assert!(
        matches!(
            error,
            BrokerError::Topology {
                setting: "replicas",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("HOOKRAIL_"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_recorded_once_and_contradictions_are_refused() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    assert_eq!(broker.install().await.unwrap(), None);
    let mine = broker.create_install("one").await.unwrap();
    let theirs = broker.create_install("two").await.unwrap();
    assert_eq!((mine.install_id.as_str(), &mine), ("one", &theirs));
    broker.check_install(&mine).unwrap();

    let mut settings = nats.settings();
    settings.partitions = 8;
    let other = Broker::connect(&settings, "test").await.unwrap();
    let error = other.ensure_topology().await.unwrap_err();
    assert!(
        matches!(
            error,
            BrokerError::Install {
                setting: "partitions",
                ..
            }
        ),
        "{error}"
    );
}
