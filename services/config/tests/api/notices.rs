//! Notices of the dispatcher.

use std::time::Duration;

use bytes::Bytes;
use hookrail_runtime::clock;
use serde_json::json;

use crate::fixture::{Fixture, each_database};

const DELIVERY: &str = "dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
/// How long a notice may take to be acted on, on a busy machine.
const ACTED_ON: Duration = Duration::from_secs(20);

async fn tell_gone(fixture: &Fixture, destination: &str, id: &str, at: i64) {
    let payload = json!({"destination": destination, "delivery": DELIVERY, "at": at}).to_string();
    let published = fixture
        .broker
        .publisher()
        .publish_notice("destination.gone", id, Bytes::from(payload))
        .await;
    published.unwrap();
}

async fn is_enabled(fixture: &Fixture, destination: &str) -> bool {
    let path = format!("/destinations/{destination}");
    fixture.client.get(&path).await.json()["enabled"] == true
}

async fn until_disabled(fixture: &Fixture, destination: &str) {
    let disabled = async {
        while is_enabled(fixture, destination).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(ACTED_ON, disabled)
        .await
        .expect("it is disabled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_whose_receiver_is_gone_is_disabled_until_somebody_enables_it() {
    each_database(async |fixture: Fixture| {
        let gone = fixture.client.destination("gone", "").await;
        let mark = fixture.client.destination("mark", "").await;
        let answered_at = clock::now_ms();
        tell_gone(&fixture, &gone, "1", answered_at).await;
        until_disabled(&fixture, &gone).await;

        let path = format!("/destinations/{gone}");
        let before = fixture.client.get(&path).await.json();
        let after = fixture.client.patch(&path, r#"{"enabled": true}"#).await.json();
        assert_ne!(before["etag"], after["etag"], "it is a change");
        // What is told of the time before, or can't be read, or is of nothing, changes nothing.
        tell_gone(&fixture, &gone, "2", answered_at).await;
        tell_gone(&fixture, "what", "3", answered_at).await;
        tell_gone(&fixture, "dst_01ARZ3NDEKTSV4RRFFQ69G5FAV", "4", answered_at).await;
        tell_gone(&fixture, &mark, "5", clock::now_ms()).await;
        until_disabled(&fixture, &mark).await;
        assert_eq!(fixture.client.get(&path).await.json()["etag"], after["etag"]);
    })
    .await;
}
