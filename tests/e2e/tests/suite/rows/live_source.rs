//! A: an inbound data source with a live stream, made without code.

use std::sync::Arc;

use anyhow::ensure;
use hookrail_harness::{Receiver, Reply, Stack};
use serde_json::{Value, json};

use super::{path_of, status_of};
use crate::fixtures::{entity, settled_event, text, unique};

pub(crate) async fn an_inbound_source_with_a_live_stream(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, kind) = (&stack.api, unique("user"));

    // 1. Creating a source gives a URL at once, and the sender posts to it.
    let created = api
        .create("/sources", json!({"name": unique("live"), "enabled": true}))
        .await?;
    let (id, path) = (
        text(&created, "/id")?,
        path_of(&text(&created, "/ingest_url")?, api),
    );
    let user = json!({"event_type": "user", "payload": [{"id": 7, "email": "ada@example.com"},
        {"id": 8, "email": "bob@example.com"}]});
    let sent = hookrail_harness::eventually("the URL takes webhooks", 3, || async {
        let answer = api.send_json(&path, user.to_string()).await.ok()?;
        (answer.status == 202).then(|| answer.json())
    })
    .await?;
    let event = text(&sent, "/event_id")?;
    settled_event(api, &event).await?;

    // 2. The last payloads are shown.
    let last = api.get(&format!("/events?source={id}&limit=10")).await?;
    ensure!(last["items"][0]["id"] == event.as_str(), "{last}");
    ensure!(api.get(&format!("/events/{event}")).await?["payload"] == user);

    // 3. Which are processed; 5. which part is the entity; 6. its unique id: tried on that payload before it is saved.
    let filter = json!({"any": [{"all": [{"path": "$.event_type", "op": "eq", "value": "user"},
        {"header": "content-type", "op": "contains", "value": "json"}]}, {"query": "force", "op": "eq", "value": "1"}]});
    let rules = json!({"type": kind, "build": "payload", "path": "$.payload[*]", "unique_id": "$.id", "title": "$.email"});
    let preview = json!({"filter": filter, "entity": rules});
    let preview = api
        .call("POST", &format!("/sources/{id}/preview"), Some(&preview))
        .await?
        .expect(200)?;
    ensure!(preview["accepted"] == true, "{preview}");
    let found: Vec<&Value> = preview["entities"].as_array().into_iter().flatten().collect();
    ensure!(
        found.len() == 2 && found[1]["title"] == "bob@example.com",
        "{preview}"
    );
    ensure!(
        preview["suggestions"].to_string().contains("$.payload"),
        "{preview}"
    );
    ensure!(
        api.get(&format!("/entities?type={kind}")).await?["items"] == json!([]),
        "a preview stores nothing"
    );
    let patch = json!({"filter": filter, "entity": rules});
    api.call("PATCH", &format!("/sources/{id}"), Some(&patch))
        .await?
        .expect(200)?;
    api.in_force().await?;
    api.send_json(&path, user.to_string()).await?.expect(202)?;
    entity(api, &kind, "8").await?;
    let other = json!({"event_type": "invoice", "payload": [{"id": 9}]}).to_string();
    let filtered = text(
        &api.send_json(&path, other.clone()).await?.expect(202)?,
        "/event_id",
    )?;
    ensure!(settled_event(api, &filtered).await?["status"] == "filtered");
    let forced = text(
        &api.send_json(&format!("{path}?force=1"), other)
            .await?
            .expect(202)?,
        "/event_id",
    )?;
    ensure!(
        settled_event(api, &forced).await?["status"] == "processed",
        "a query condition"
    );
    let renamed = json!({"event_type": "user", "payload": [{"id": 7, "email": "new@example.com"}]});
    api.send_json(&path, renamed.to_string()).await?.expect(202)?;
    hookrail_harness::eventually("the stored entity is met by its id", 20, || async {
        let entity = api.get(&format!("/entities/{kind}/7")).await.ok()?;
        (entity["title"] == "new@example.com" && entity["first_seen_at"] != entity["updated_at"])
            .then_some(())
    })
    .await?;

    fetched(&stack, &id, &path).await?;

    // 7. A source is live only while it is enabled, and keeps its URL.
    let switch = async |enabled: bool| {
        let body = json!({"enabled": enabled});
        api.call("PATCH", &format!("/sources/{id}"), Some(&body))
            .await?
            .expect(200)?;
        api.in_force().await?;
        anyhow::Ok(())
    };
    switch(false).await?;
    let refused = api.send_json(&path, "{}").await?;
    ensure!(
        refused.status == 423 && refused.text.contains("disabled"),
        "{}",
        refused.text
    );
    status_of(api, &id, |status| status["state"] == "disabled").await?;
    switch(true).await?;
    api.send_json(&path, r#"{"id": 1}"#).await?.expect(202)?;
    Ok(())
}

/// 4. The id alone is taken from the payload, and the entity is got by a fetcher of its type.
async fn fetched(stack: &Stack, source: &str, path: &str) -> anyhow::Result<()> {
    let (api, kind) = (&stack.api, unique("account"));
    let rest = Receiver::with_script(|arrival| Reply {
        body: format!(
            "{{\"data\": {{\"id\": \"{}\", \"name\": \"from the API\"}}}}",
            arrival.path.rsplit('/').next().unwrap_or_default()
        ),
        ..Reply::status(200)
    })?;
    let fetcher = json!({"name": unique("accounts"), "type": kind, "url": format!("{}/accounts/{{{{id}}}}", rest.url()),
        "entity_path": "$.data", "unique_id": "$.id"});
    let fetcher = text(&api.create("/fetchers", fetcher).await?, "/id")?;
    let rules = |of: &str| {
        json!({"filter": null, "entity": {"type": of, "build": "fetcher", "fetcher": fetcher, "path": null,
        "unique_id": "$.account", "title": "$.name"}})
    };
    let change = format!("/sources/{source}");
    let wrong = api.call("PATCH", &change, Some(&rules("another-type"))).await?;
    ensure!(
        wrong.status == 422 && wrong.text.contains("/entity/type"),
        "{}",
        wrong.text
    );
    api.call("PATCH", &change, Some(&rules(&kind)))
        .await?
        .expect(200)?;
    api.in_force().await?;
    api.send_json(path, r#"{"account": "a-1"}"#).await?.expect(202)?;
    let stored = entity(api, &kind, "a-1").await?;
    ensure!(stored["data"]["name"] == "from the API", "{stored}");
    Ok(())
}
