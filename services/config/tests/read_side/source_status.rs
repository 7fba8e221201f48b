//! `/sources/{id}/status` and `/rejections`.

use hookrail_domain::event::EventStatus;
use hookrail_domain::ids::{EventId, SourceId};
use hookrail_domain::journal::{CountRecord, RejectionRecord};
use hookrail_store::source_warnings::{self, Finding, WarningKey};
use hookrail_store::{rejections, source_refusals};
use serde_json::json;

use crate::running::Running;

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_source_add_up() {
    let running = Running::start().await;
    let source = running.source(json!({"ordering": {"mode": "source"}})).await;
    let status = async || {
        running
            .api
            .get(&format!("/sources/{source}/status"))
            .await
            .unwrap()
    };
    assert_eq!(
        (&status().await["state"], &status().await["received"]),
        (&json!("waiting"), &json!(0))
    );
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(running.send(&source, json!({ "n": n })).await);
    }
    assert_eq!(
        (&status().await["queued"], &status().await["received"]),
        (&json!(12), &json!(12))
    );
    running.process(&ids[0], EventStatus::Processed).await;
    running.process(&ids[1], EventStatus::Filtered).await;
    let now = status().await;
    let number = |name: &str| now[name].as_u64().unwrap();
    let ends = ["processed", "filtered", "failed", "duplicate", "queued"].map(number);
    assert_eq!((ends, number("received")), ([1, 1, 0, 0, 10], 12));
    assert_eq!(now["state"], json!("receiving"));
    assert!(now["last_event_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_source_says_so_and_takes_no_test_event() {
    let running = Running::start().await;
    let source = running.source(json!({"enabled": false})).await;
    let status = running
        .api
        .get(&format!("/sources/{source}/status"))
        .await
        .unwrap();
    assert_eq!(status["state"], json!("disabled"));
    let answer = running
        .api
        .call("POST", &format!("/sources/{source}/test-events"), None)
        .await
        .unwrap();
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("disabled")));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_are_shown_and_counted() {
    let running = Running::start().await;
    let source = running.source(json!({})).await;
    let id: SourceId = source.parse().unwrap();
    let record = RejectionRecord {
        source: id,
        workspace: hookrail_domain::ids::WorkspaceId::from_u128(1),
        at: 1000,
        code: "unauthorized".to_owned(),
        detail: "the request has no API key".to_owned(),
        remote_addr: Some("10.0.0.1".to_owned()),
        method: "POST".to_owned(),
        headers: vec![("x-shop".to_owned(), "a".to_owned())],
    };
    let count = CountRecord {
        instance: "i".to_owned(),
        number: 1,
        source: id,
        code: "unauthorized".to_owned(),
        refused: 7,
    };
    let tx = running.store.write().await.unwrap();
    rejections::insert(&*tx, &[(1, &record)]).await.unwrap();
    source_refusals::count(&*tx, &[&count], 1000).await.unwrap();
    tx.commit().await.unwrap();
    let shown = running
        .api
        .get(&format!("/sources/{source}/rejections"))
        .await
        .unwrap();
    assert_eq!(
        shown["items"],
        json!([{"at": "1970-01-01T00:00:01.000Z", "code": "unauthorized", "detail": "the request has no API key",
            "remote_addr": "10.0.0.1", "method": "POST", "headers": [{"name": "x-shop", "value": "a"}]}])
    );
    let status = running
        .api
        .get(&format!("/sources/{source}/status"))
        .await
        .unwrap();
    assert_eq!(
        (&status["rejected"], &status["rejected_by_cause"]),
        (&json!(7), &json!({"unauthorized": 7}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_lasts_until_the_sources_definition_changes() {
    let running = Running::start().await;
    let source = running.source(json!({})).await;
    warn(&running, source.parse().unwrap()).await;
    let path = format!("/sources/{source}");
    let status = async || running.api.get(&format!("{path}/status")).await.unwrap();
    let change = async |fields: serde_json::Value| {
        running
            .api
            .call("PATCH", &path, Some(&fields))
            .await
            .unwrap()
            .expect(200)
            .unwrap();
    };
    change(json!({"name": "orders"})).await;
    assert_eq!(
        status().await["warnings"][0]["field"],
        json!("title"),
        "nothing changed"
    );
    assert_eq!(status().await["state"], json!("warning"));
    change(json!({"description": "of the shop"})).await;
    assert_eq!(
        (&status().await["warnings"], &status().await["state"]),
        (&json!([]), &json!("waiting"))
    );
}

/// Stores what a processor stores when an event's title can't be found.
async fn warn(running: &Running, source: SourceId) {
    let key = WarningKey {
        source,
        code: "mapping.unresolved",
        field: "title".to_owned(),
    };
    let finding = Finding::Wrong {
        path: "$.name".to_owned(),
        event: EventId::from_u128(1),
        at: 1000,
    };
    let tx = running.store.write().await.unwrap();
    source_warnings::write(&*tx, &[(key, finding)].into())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}
