//! What is saved comes into force, whatever dies in between.

use std::time::Duration;

use hookrail_broker::{SnapshotFeed, SnapshotReader};
use hookrail_domain::ids::{DestinationId, SourceId};
use hookrail_store::{outbox, revision};

use crate::fixture::{Fixture, each_database};

/// How long a change may take to be in force in a test, on a busy machine.
const IN_FORCE: Duration = Duration::from_secs(20);

async fn wait_for_all(fixture: &Fixture, snapshot: &SnapshotReader) {
    let newest = revision::current(fixture.store.reader()).await.unwrap();
    assert!(
        snapshot.wait_for(newest.unsigned_abs(), IN_FORCE).await,
        "revision {newest} is not in force"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_come_into_force_with_their_secrets_keys_and_names() {
    each_database(async |fixture: Fixture| {
        let client = &fixture.client;
        let (_feed, snapshot) = SnapshotFeed::start(&fixture.broker).await.unwrap();
        let source = client.source("orders", r#", "auth": {"type": "api_key"}"#).await;
        client
            .post(
                &format!("/sources/{source}/api-keys"),
                r#"{"label": "erp", "key": "pasted-key"}"#,
            )
            .await
            .id();
        client
            .patch(&format!("/sources/{source}"), r#"{"name": "sales"}"#)
            .await;
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signing = format!(r#", "signing": {{"type": "standard_webhooks", "secret": "{secret}"}}"#);
        let destination = client.destination("crm", &signing).await;
        wait_for_all(&fixture, &snapshot).await;

        let current = snapshot.current();
        let id: SourceId = source.parse().unwrap();
        for path in ["default/sales", "default/orders"] {
            assert_eq!(
                current.source_at(path, 0).map(|found| found.id),
                Some(id),
                "{path}"
            );
        }
        assert_eq!(current.source(id).unwrap().api_keys.len(), 1);
        let mut spec = current
            .destination(destination.parse().unwrap())
            .unwrap()
            .spec
            .clone();
        assert_eq!(spec.secrets_mut()[0].value.as_deref(), Some(secret));

        client.delete(&format!("/sources/{source}")).await;
        wait_for_all(&fixture, &snapshot).await;
        assert!(snapshot.current().source(id).is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_while_the_broker_was_down_is_published_by_the_next_start() {
    each_database(async |mut fixture: Fixture| {
        // A service starts with the broker; from its first answer on it can do without.
        assert_eq!(fixture.client.get("/destinations").await.status, 200);
        fixture.nats.server.kill();
        let destination = fixture.client.destination("late", "").await;
        fixture.stop().await;
        assert!(
            !outbox::oldest(fixture.store.reader(), 10)
                .await
                .unwrap()
                .is_empty()
        );
        fixture.nats.server.start_again().await.unwrap();
        fixture.broker = fixture.nats.broker().await;
        fixture.start_again();
        let (_feed, snapshot) = SnapshotFeed::start(&fixture.broker).await.unwrap();
        wait_for_all(&fixture, &snapshot).await;
        let id: DestinationId = destination.parse().unwrap();
        assert!(snapshot.current().destination(id).is_some());
    })
    .await;
}
