//! What is saved comes into force, whatever dies in between.

use std::time::Duration;

use hookrail_broker::{SnapshotFeed, SnapshotReader};
use hookrail_domain::ids::{DestinationId, SourceId};
use hookrail_domain::snapshot::Key;
use hookrail_domain::source::SourceAuth;
use hookrail_store::sea_orm::ConnectionTrait;
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
        // What it accepted before is still processed, also by who starts later.
        let (_late_feed, late) = SnapshotFeed::start(&fixture.broker).await.unwrap();
        for current in [snapshot.current(), late.current()] {
            let last = current.source(id).expect("the last definition is kept");
            assert_eq!(last.spec.name, "sales");
            assert_eq!((last.api_keys.len(), &last.spec.auth), (0, &SourceAuth::None));
            assert!(current.source_at("default/sales", 0).is_none());
            assert!(current.source_at("default/orders", 0).is_none());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_could_not_be_published_is_refused_and_holds_up_nothing() {
    each_database(async |fixture: Fixture| {
        let client = &fixture.client;
        let (_feed, snapshot) = SnapshotFeed::start(&fixture.broker).await.unwrap();
        let filter = |bytes: usize| {
            let value = "x".repeat(bytes);
            format!(r#""filter": {{"path": "$.a", "op": "eq", "value": "{value}"}}"#)
        };
        let body = format!(r#"{{"name": "large", {}}}"#, filter(600_000));
        client
            .post("/sources", &body)
            .await
            .is_invalid_at("definition-too-large", "");
        let source = client.source("grows", &format!(", {}", filter(400_000))).await;
        let more = format!(r#"{{"force_list": ["{}"]}}"#, "n".repeat(200_000));
        client
            .patch(&format!("/sources/{source}"), &more)
            .await
            .is_invalid_at("definition-too-large", "");
        client.source("after", "").await;
        wait_for_all(&fixture, &snapshot).await;
        assert!(snapshot.current().source_at("default/after", 0).is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_tombstones_go_but_for_that_of_the_newest_revision() {
    each_database(async |mut fixture: Fixture| {
        let client = &fixture.client;
        let older = client.destination("older", "").await;
        let newest = client.destination("newest", "").await;
        for id in [&older, &newest] {
            assert_eq!(client.delete(&format!("/destinations/{id}")).await.status, 204);
        }
        let (_feed, snapshot) = SnapshotFeed::start(&fixture.broker).await.unwrap();
        wait_for_all(&fixture, &snapshot).await;
        let key = |id: &String| Key::Destination(id.parse().unwrap());
        fixture.stop().await;
        // The newest is looked at first.
        for (id, deleted_at) in [(&newest, 1), (&older, 2)] {
            let sql = format!("UPDATE tombstones SET deleted_at = {deleted_at} WHERE entry_key = '{id}'");
            let transaction = fixture.store.write().await.unwrap();
            transaction.execute_unprepared(&sql).await.unwrap();
            transaction.commit().await.unwrap();
        }
        fixture.start_again();
        let gone = async {
            while snapshot.current().revision_of(key(&older)).is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(IN_FORCE, gone)
            .await
            .expect("the older one goes");
        let (_late_feed, late) = SnapshotFeed::start(&fixture.broker).await.unwrap();
        let revision = revision::current(fixture.store.reader()).await.unwrap();
        assert_eq!(late.current().revision(), revision.unsigned_abs());
        assert_eq!(late.current().revision_of(key(&older)), None);
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
