//! `/deliveries`.

use hookrail_domain::delivery::{Attempt, DeliveryStatus, ErrorCode, Failure};
use hookrail_domain::event::{EventStatus, Origin};
use hookrail_domain::ids::{DeliveryId, DestinationId, Id};
use hookrail_domain::journal::{AttemptRecord, DeliveryFacts, StateRecord};
use hookrail_store::{attempts, deliveries};
use serde_json::json;

use crate::running::Running;

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_shown_with_its_attempts_and_with_its_event() {
    let running = Running::start().await;
    let source = running.source(json!({})).await;
    let id = running.send(&source, json!({})).await;
    let (event, sequence) = running.process(&id, EventStatus::Processed).await;
    let delivery = DeliveryFacts {
        id: DeliveryId::from_parts(event.accepted_at, 1),
        event: event.id,
        event_type: event.event_type.clone(),
        workspace: event.workspace,
        source: event.source,
        destination: DestinationId::from_u128(5),
        fetcher: None,
        route: None,
        entity: None,
        lane_key: Some("customer:42".to_owned()),
        origin: Origin {
            partition: 2,
            sequence,
            index: 0,
        },
        accepted_at: event.accepted_at,
        replay: None,
    };
    let failure = Failure {
        code: ErrorCode::Status,
        detail: "the answer was 500".to_owned(),
    };
    let attempt = Attempt {
        number: 1,
        epoch: 1,
        started_at: 2000,
        duration_ms: 7,
        method: "POST".to_owned(),
        url: "https://example.com/hook".to_owned(),
        request_headers: vec![("webhook-id".to_owned(), "dlv_1".to_owned())],
        status: Some(500),
        response_headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        response_body: b"oops".to_vec(),
        failure: Some(failure.clone()),
    };
    let state = StateRecord {
        delivery: delivery.clone(),
        status: DeliveryStatus::Dead,
        epoch: 1,
        attempts: 1,
        next_at: None,
        settled_at: Some(3000),
        failure: Some(failure),
        generation: 0,
        attempt: None,
    };
    let tx = running.store.write().await.unwrap();
    deliveries::raise(&*tx, &[state]).await.unwrap();
    attempts::insert(
        &*tx,
        &[AttemptRecord {
            delivery: delivery.clone(),
            attempt,
        }],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let read = running
        .api
        .get(&format!("/deliveries/{}", delivery.id))
        .await
        .unwrap();
    assert_eq!(
        (&read["status"], &read["error"]["code"]),
        (&json!("dead"), &json!("status"))
    );
    assert_eq!(read["sequence"], json!(format!("2.{sequence}.0")));
    assert_eq!(read["settled_at"], json!("1970-01-01T00:00:03.000Z"));
    let attempt = &read["attempts"][0];
    assert_eq!(
        (&attempt["number"], &attempt["response"]["body"]),
        (&json!(1), &json!("oops"))
    );
    assert_eq!(
        attempt["request"]["headers"],
        json!([{"name": "webhook-id", "value": "dlv_1"}])
    );
    for filter in [
        "status=dead",
        &format!("event={id}"),
        &format!("lane={}", read["lane"].as_str().unwrap()),
    ] {
        let list = running.api.get(&format!("/deliveries?{filter}")).await.unwrap();
        assert_eq!(list["items"][0]["id"], read["id"], "{filter}");
    }
    let event = running.api.get(&format!("/events/{id}")).await.unwrap();
    assert_eq!(event["deliveries"][0]["id"], read["id"]);
}
