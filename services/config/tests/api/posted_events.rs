//! Events of one's own, and test events: what they are stored with, and that a repetition is one.

use hookrail_broker::codec::decode_event;
use hookrail_domain::event::Event;
use hookrail_domain::ids::EventId;
use hookrail_store::revision;
use hookrail_store::sea_orm::ConnectionTrait;

use crate::client::Answer;
use crate::fixture::{Fixture, each_database};

const POSTED: &str = r#"{"event_type": "order.paid", "data": {"id": 1}}"#;

async fn logged(fixture: &Fixture, answer: &Answer) -> Event {
    let text = answer.json()["event_id"].as_str().unwrap().to_owned();
    let id: EventId = text.parse().unwrap();
    let found = fixture
        .broker
        .find_event(id.partition(), &text, id.time())
        .await
        .unwrap()
        .expect("it is in the log");
    decode_event(&found.payload).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_stored_with_a_revision_that_is_in_force() {
    each_database(async |fixture: Fixture| {
        let source = fixture.client.source("orders", "").await;
        let in_force = revision::current(fixture.store.reader()).await.unwrap();
        // A change that never comes into force.
        let transaction = fixture.store.write().await.unwrap();
        transaction
            .execute_unprepared("UPDATE counters SET value = value + 1 WHERE name = 'revision'")
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        for (path, body) in [
            ("/events".to_owned(), POSTED),
            (format!("/sources/{source}/test-events"), "{}"),
        ] {
            let answer = fixture.client.post(&path, body).await;
            assert_eq!(answer.status, 202, "{}", answer.text);
            let event = logged(&fixture, &answer).await;
            assert_eq!(event.revision, in_force.unsigned_abs(), "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_with_a_key_is_one_event() {
    each_database(async |fixture: Fixture| {
        let source = fixture.client.source("orders", "").await;
        for (path, body, other) in [
            (
                "/events".to_owned(),
                POSTED,
                r#"{"event_type": "order.paid", "data": 2}"#,
            ),
            (
                format!("/sources/{source}/test-events"),
                r#"{"payload": 1}"#,
                r#"{"payload": 2}"#,
            ),
        ] {
            let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
            let ask = async |body: &str| fixture.client.ask("POST", &path, &headers, body).await;
            let (first, again) = (ask(body).await, ask(body).await);
            assert_eq!((first.status, again.status), (202, 202), "{path}");
            assert_eq!(first.text, again.text);
            assert_eq!(first.header("idempotency-replayed"), None);
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
            ask(other).await.is_problem(422, "idempotency-key-reused");
        }
    })
    .await;
}
