//! `POST /sources/{id}/preview`.

use hookrail_domain::event::EventStatus;
use serde_json::{Value, json};

use crate::running::Running;

async fn previewed(running: &Running, source: &str, body: Value) -> Value {
    let answer = running
        .api
        .call("POST", &format!("/sources/{source}/preview"), Some(&body))
        .await
        .unwrap();
    answer.expect(200).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_saved_rules_are_tried_on_the_newest_event() {
    let running = Running::start().await;
    let source = running
        .source(json!({"filter": {"path": "$.type", "op": "eq", "value": "user"},
            "entity": {"type": "user", "path": "$.user", "unique_id": "$.id", "title": "$.email"}}))
        .await;
    let id = running
        .send(&source, json!({"type": "order", "user": {"id": 7}}))
        .await;
    running.process(&id, EventStatus::Filtered).await;
    let shown = previewed(&running, &source, json!({})).await;
    assert_eq!(
        (&shown["event_id"], &shown["accepted"]),
        (&json!(id), &json!(false))
    );
    let condition =
        json!({"path": "$.type", "op": "eq", "value": "user", "actual": "order", "result": false});
    assert_eq!(shown["conditions"], json!([condition]));
    assert_eq!(
        shown["entities"],
        json!([{"unique_id": "7", "title": null, "fields": {}, "data": {"id": 7}, "change": "created"}])
    );
    assert_eq!(
        shown["warnings"],
        json!([{"code": "mapping.unresolved", "field": "title", "path": "$.email"}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_are_tried_on_a_payload_without_saving_anything() {
    let running = Running::start().await;
    let source = running.source(json!({})).await;
    let body = json!({"payload": [{"uuid": "a", "name": "Ann"}, {"uuid": "b", "name": "Bob"}],
        "entity": {"type": "user", "unique_id": "$.uuid"}, "filter": {"path": "$[0].name", "op": "exists", "value": true}});
    let shown = previewed(&running, &source, body).await;
    assert_eq!(
        (&shown["accepted"], &shown["entities_total"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(shown["suggestions"]["unique_ids"], json!(["$.uuid"]));
    assert_eq!(shown["suggestions"]["titles"], json!(["$.name"]));
    let entities = running.api.get("/entities").await.unwrap();
    assert_eq!(entities["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_can_not_be_meant_and_a_source_without_events_are_refused() {
    let running = Running::start().await;
    let source = running.source(json!({})).await;
    for (body, pointer) in [
        (json!({}), "/payload"),
        (json!({"event_id": "evt_01ARZ3NDEKTSV4RRFFQ69G5FAV"}), ""),
        (
            json!({"payload": 1, "filter": {"path": "$.a", "op": "like"}}),
            "/filter/op",
        ),
        (
            json!({"payload": 1, "entity": {"type": "a b", "unique_id": "$.id"}}),
            "/entity/type",
        ),
        (json!({"payload": 1, "rules": 1}), "/rules"),
    ] {
        let answer = running
            .api
            .call("POST", &format!("/sources/{source}/preview"), Some(&body))
            .await
            .unwrap();
        match pointer {
            "" => assert_eq!(answer.status, 404, "{body}"),
            pointer => assert_eq!(
                (answer.status, &answer.json()["errors"][0]["pointer"]),
                (422, &json!(pointer)),
                "{body}"
            ),
        }
    }
}
