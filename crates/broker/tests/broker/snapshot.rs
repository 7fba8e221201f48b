//! Following the definitions.

use std::time::Duration;

use hookrail_broker::{Broker, SnapshotFeed};
use hookrail_domain::ids::{RouteId, SourceId, WorkspaceId};
use hookrail_domain::route::{Route, RouteSpec};
use hookrail_domain::snapshot::{Definition, Entry, Key};
use hookrail_domain::source::{Source, SourceSpec};

use crate::nats::Nats;

const LONG: Duration = Duration::from_secs(20);

fn source(revision: u64, id: u128, name: &str) -> Entry {
    let id = SourceId::from_u128(id);
    let source = Source {
        id,
        workspace: WorkspaceId::from_u128(1),
        workspace_code: "default".into(),
        token: format!("token-{id}"),
        old_names: Vec::new(),
        api_keys: Vec::new(),
        spec: SourceSpec {
            name: name.into(),
            ..SourceSpec::default()
        },
    };
    Entry {
        revision,
        key: Key::Source(id),
        definition: Some(Definition::Source(Box::new(source))),
    }
}

fn route(revision: u64) -> Entry {
    let id = RouteId::from_u128(8);
    let workspace = WorkspaceId::from_u128(1);
    let spec = RouteSpec {
        name: "r".into(),
        ..RouteSpec::default()
    };
    Entry {
        revision,
        key: Key::Route(id),
        definition: Some(Definition::Route(Box::new(Route { id, workspace, spec }))),
    }
}

async fn publish(broker: &Broker, entries: &[Entry]) {
    for entry in entries {
        broker.publish_entry(entry).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_starts_with_all_definitions_and_follows_changes_and_deletions() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let (_empty_feed, empty) = SnapshotFeed::start(&broker).await.unwrap();
    assert_eq!(empty.current().revision(), 0);
    assert!(!empty.wait_for(1, Duration::from_millis(50)).await);

    publish(&broker, &[source(1, 1, "a"), source(2, 2, "b"), route(3)]).await;
    assert!(empty.wait_for(3, LONG).await);
    let (_feed, snapshot) = SnapshotFeed::start(&broker).await.unwrap();
    assert_eq!(snapshot.current().sizes(), (2, 0, 1));
    assert_eq!(snapshot.current().revision(), 3);

    let deleted = Entry {
        revision: 5,
        key: Key::Source(SourceId::from_u128(1)),
        definition: None,
    };
    publish(&broker, &[source(4, 2, "c"), deleted]).await;
    assert!(snapshot.wait_for(5, LONG).await);
    let current = snapshot.current();
    assert!(current.source_at("default/c", 0).is_some());
    assert!(current.source_at("default/a", 0).is_none());
    let (_late_feed, late) = SnapshotFeed::start(&broker).await.unwrap();
    assert_eq!(
        (late.current().revision(), late.current().sizes()),
        (5, (1, 0, 1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_goes_on_after_the_server_restarts() {
    let mut nats = Nats::start();
    let broker = nats.broker().await;
    publish(&broker, &[source(1, 1, "a")]).await;
    let (_feed, snapshot) = SnapshotFeed::start(&broker).await.unwrap();
    nats.kill_and_restart();
    while broker.publish_entry(&source(2, 1, "b")).await.is_err() {}
    assert!(snapshot.wait_for(2, LONG).await);
    assert!(snapshot.current().source_at("default/b", 0).is_some());
}
