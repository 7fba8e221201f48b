//! `/entities`.

use hookrail_domain::event::Event;
use hookrail_store::entities::{self, EntityKey, EntityVersion, EntityWrite};
use hookrail_store::entity_versions::{self, VersionWrite};
use serde_json::{Value, json};

use crate::running::Running;

fn entity(event: &Event, id: &str, at: i64) -> EntityWrite {
    EntityWrite {
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
        first_seen_at: at,
        at,
        event: event.id,
        deleted_at: None,
        versions: 0,
        before: None,
    }
}

/// Entities of the workspace of `event`, each with its id and the time at which it came.
async fn store(running: &Running, event_id: &str, ids: &[&str]) {
    let (event, _) = running.logged(event_id).await;
    let write = |(id, at): (&&str, i64)| entity(&event, id, at);
    let tx = running.store.write().await.unwrap();
    entities::upsert(&*tx, ids.iter().zip(1..).map(write).collect())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn entities_are_listed_and_read_under_any_id() {
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
    for wrong in [
        "/entities?q=a%20b%20c%20d%20e%20f%20g%20h%20i%20j%20k%20l%20m%20n%20o%20p%20q",
        "/entities?cursor=eA",
    ] {
        assert_eq!(
            running.api.call("GET", wrong, None).await.unwrap().status,
            422,
            "{wrong}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_an_event_behind_the_entity_s_own_and_says_when_it_is_not_carried_out_yet() {
    let running = Running::start().await;
    let source = running.source(json!({})).await;
    let event = running.send(&source, json!({})).await;
    store(&running, &event, &["42"]).await;
    // Nobody processes here.
    let answer = running
        .api
        .call("DELETE", "/entities/customer/42", None)
        .await
        .unwrap();
    let accepted = answer.expect(202).unwrap();
    let (deletion, _) = running.logged(accepted["event_id"].as_str().unwrap()).await;
    assert_eq!(
        (deletion.event_type.as_str(), deletion.internal),
        ("entity.deleted", true)
    );
    assert_eq!(
        (deletion.id.partition(), deletion.source.map(|id| id.to_string())),
        (1, Some(source))
    );
    assert_eq!(
        &deletion.body.bytes().unwrap()[..],
        br#"{"type":"customer","unique_id":"42"}"#
    );
    running.api.get("/entities/customer/42").await.unwrap();
    let unknown = running
        .api
        .call("DELETE", "/entities/customer/43", None)
        .await
        .unwrap();
    assert_eq!(unknown.status, 404);
}

fn version(write: &EntityWrite, number: u64, change: &'static str, data: &str) -> VersionWrite {
    VersionWrite {
        key: write.key.clone(),
        number,
        version: EntityVersion {
            sequence: number,
            ..write.version
        },
        change,
        event: write.event,
        at: number as i64,
        title: write.title.clone(),
        fields: write.fields.clone(),
        data: data.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_shows_each_version_with_what_changed_in_it() {
    let running = Running::start().await;
    let source = running.source(json!({})).await;
    let event = running.send(&source, json!({})).await;
    store(&running, &event, &["41", "42"]).await;
    let (logged, _) = running.logged(&event).await;
    let entity = entity(&logged, "42", 2);
    let versions = [
        version(&entity, 1, "created", r#"{"a":1.10,"b":1}"#),
        version(&entity, 2, "updated", r#"{"a":1.10,"b":2,"c":3}"#),
        version(&entity, 3, "deleted", r#"{"a":1.10,"b":2,"c":3}"#),
        version(&entity, 4, "created", r#"{"a":1.10}"#),
    ];
    let tx = running.store.write().await.unwrap();
    let all: Vec<_> = versions.iter().collect();
    entity_versions::write(&*tx, &all, &[]).await.unwrap();
    tx.commit().await.unwrap();
    let path = "/entities/customer/42/history";
    let page = running.api.get(&format!("{path}?limit=3")).await.unwrap();
    let changes = |page: &Value| -> Vec<Value> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["change"].clone())
            .collect()
    };
    assert_eq!(changes(&page), ["created", "deleted", "updated"]);
    let updated = &page["items"][2];
    assert_eq!(updated["changed_fields"], json!(["b", "c"]));
    assert_eq!(updated["previous_fields"], json!({"b": 1, "c": null}));
    assert_eq!(
        (&updated["version"], &updated["event_id"]),
        (&json!("1.2"), &json!(event))
    );
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = running
        .api
        .get(&format!("{path}?limit=3&cursor={cursor}"))
        .await
        .unwrap();
    assert_eq!(
        (changes(&next), &next["next_cursor"]),
        (vec![json!("created")], &json!(null))
    );
    let first = running
        .api
        .get(&format!("{path}?limit=1&order=asc"))
        .await
        .unwrap();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = running
        .api
        .get(&format!("{path}?limit=1&order=asc&cursor={cursor}"))
        .await
        .unwrap();
    assert_eq!(second["items"][0]["previous_fields"], json!({"b": 1, "c": null}));
    // One that never changed is its own only version.
    let only = running.api.get("/entities/customer/41/history").await.unwrap();
    assert_eq!(
        only["items"][0]["data"],
        json!({"price": 1.10, "n": 12_345_678_901_234_567_890_u64})
    );
    assert_eq!(changes(&only), ["created"]);
    for (path, status) in [
        ("/entities/customer/43/history", 404),
        ("/entities/customer/42/history?cursor=eA", 422),
    ] {
        assert_eq!(
            running.api.call("GET", path, None).await.unwrap().status,
            status,
            "{path}"
        );
    }
}
