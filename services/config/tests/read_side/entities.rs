//! `/entities`.

use hookrail_store::entities::{self, EntityKey, EntityVersion, EntityWrite};
use serde_json::json;

use crate::running::Running;

/// Entities of the workspace of `event`, each with its id and the time at which it came.
async fn store(running: &Running, event_id: &str, ids: &[&str]) {
    let (event, _) = running.logged(event_id).await;
    let write = |(id, at): (&&str, i64)| EntityWrite {
        key: EntityKey::new(event.workspace, "customer", id),
        source: event.source,
        title: Some(format!("Customer {id}")),
        fields: format!(r#"{{"city":"Bonn","n":{at}}}"#),
        data: r#"{"price":1.10,"n":12345678901234567890}"#.to_owned(),
        version: EntityVersion {
            partition: 1,
            sequence: at.unsigned_abs(),
            at,
        },
        at,
        event: event.id,
    };
    let tx = running.store.write().await.unwrap();
    entities::upsert(&*tx, ids.iter().zip(1..).map(write).collect())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn entities_are_listed_read_and_deleted_under_any_id() {
    let running = Running::start().await;
    let source = running.source(json!({})).await;
    let event = running.send(&source, json!({})).await;
    store(&running, &event, &["42", "a/b c", r#"["x",1]"#]).await;
    let answer = running
        .api
        .call("GET", "/entities/customer/a%2Fb%20c", None)
        .await
        .unwrap();
    assert!(
        answer
            .text
            .contains(r#""data":{"price":1.10,"n":12345678901234567890}"#),
        "{}",
        answer.text
    );
    let read = answer.expect(200).unwrap();
    assert_eq!(
        (&read["unique_id"], &read["version"]),
        (&json!("a/b c"), &json!("1.2"))
    );
    assert_eq!(read["last_event_id"], json!(event));
    let list = running.api.get("/entities?type=customer&limit=2").await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let cursor = list["next_cursor"].as_str().unwrap();
    let next = running
        .api
        .get(&format!("/entities?type=customer&limit=2&cursor={cursor}"))
        .await
        .unwrap();
    assert_eq!(
        (&next["items"][0]["unique_id"], &next["next_cursor"]),
        (&json!("42"), &json!(null))
    );
    let by_field = running
        .api
        .get("/entities?field.n=3&field.city=Bonn")
        .await
        .unwrap();
    assert_eq!(by_field["items"][0]["unique_id"], json!(r#"["x",1]"#));
    let by_title = running.api.get("/entities?q=customer%2042").await.unwrap();
    assert_eq!(by_title["items"].as_array().unwrap().len(), 1);
    for expected in [204, 404] {
        let path = "/entities/customer/%5B%22x%22%2C1%5D";
        assert_eq!(
            running.api.call("DELETE", path, None).await.unwrap().status,
            expected
        );
    }
}
