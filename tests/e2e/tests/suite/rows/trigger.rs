//! D: a webhook that triggers an integration.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hookrail_harness::{Api, Receiver, Reply, Stack};
use serde_json::{Value, json};

use super::path_of;
use crate::fixtures::{SOON, text, unique};

pub(crate) async fn a_webhook_trigger(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let name = unique("create-customer-record");
    let spec = json!({"name": name, "methods": ["GET", "POST"], "auth": {"type": "api_key"},
        "query_params": [{"name": "item", "default": "0"}, {"name": "unit"}]});
    let created = api.create("/sources", spec).await?;
    let id = text(&created, "/id")?;
    // 1. https://host/<workspace code>/<name>
    let path = path_of(&text(&created, "/ingest_url")?, api);
    ensure!(path == format!("/default/{name}"), "{path}");

    keys(api, &id, &path).await?;
    ordered(api).await?;
    answered(api).await
}

/// 2. API keys, with labels, generated or pasted. 1. GET or POST, any body. 5. Query parameters with defaults.
async fn keys(api: &Api, id: &str, path: &str) -> anyhow::Result<()> {
    let keys = format!("/sources/{id}/api-keys");
    let generated = api.create(&keys, json!({"label": "erp"})).await?;
    let generated_key = text(&generated, "/key")?;
    let pasted_key = format!("pasted-{}-0123456789", unique("key"));
    let pasted = api
        .create(&keys, json!({"label": "shop", "key": pasted_key}))
        .await?;
    let other = api
        .create(
            "/sources",
            json!({"name": unique("other"), "auth": {"type": "api_key"}}),
        )
        .await?;
    api.create(
        &format!("/sources/{}/api-keys", text(&other, "/id")?),
        json!({"label": "same", "key": pasted_key}),
    )
    .await?;
    let pasted_path = format!("{keys}/{}", text(&pasted, "/id")?);
    api.call("PATCH", &pasted_path, Some(&json!({"label": "web shop"})))
        .await?
        .expect(200)?;
    let listed = api.get(&keys).await?;
    ensure!(
        listed.to_string().contains("web shop") && !listed.to_string().contains(&generated_key),
        "{listed}"
    );
    api.in_force().await?;

    ensure!(api.send_json(path, "{}").await?.status == 401);
    let with = |key: &str| [("x-api-key".to_owned(), key.to_owned())];
    for (method, query, body, data) in [
        ("GET", "?item=7&unit=kg", "", json!({"item": "7", "unit": "kg"})),
        ("GET", "", "", json!({"item": "0", "unit": null})),
        ("POST", "", "plain words", json!("plain words")),
    ] {
        let headers = with(&generated_key);
        let headers = [
            (headers[0].0.as_str(), headers[0].1.as_str()),
            ("content-type", "text/plain"),
        ];
        let headers = if body.is_empty() {
            &headers[..1]
        } else {
            &headers[..]
        };
        let answer = api
            .send_as(method, &format!("{path}{query}"), headers, body.to_owned())
            .await?
            .expect(202)?;
        let event = crate::fixtures::settled_event(api, &text(&answer, "/event_id")?).await?;
        ensure!(event["payload"] == data, "{method} {query}: {event}");
        let defaulted = event["query"].to_string();
        ensure!(!query.is_empty() || defaulted.contains("\"item\""), "{event}");
    }
    let other_path = path_of(&text(&other, "/ingest_url")?, api);
    api.send(
        &other_path,
        &[("x-api-key", &pasted_key), ("content-type", "application/json")],
        "{}",
    )
    .await?
    .expect(202)?;
    api.call("DELETE", &pasted_path, None).await?.expect(204)?;
    api.in_force().await?;
    ensure!(
        api.send(path, &[("x-api-key", &pasted_key)], "").await?.status == 401,
        "a deleted key"
    );
    api.send(
        &other_path,
        &[("x-api-key", &pasted_key), ("content-type", "application/json")],
        "{}",
    )
    .await?
    .expect(202)?;
    Ok(())
}

/// 3. On: one after another, in the order received. 6. Inserts and updates of a record, transactions of a partner.
async fn ordered(api: &Api) -> anyhow::Result<()> {
    let receiver = Receiver::with_script(|_| Reply {
        after: Duration::from_millis(20),
        ..Reply::status(200)
    })?;
    let source = api
        .create(
            "/sources",
            json!({"name": unique("ordered"), "ordering": {"mode": "source"}}),
        )
        .await?;
    let spec = json!({"name": unique("erp"), "url": receiver.url(), "ordering": "destination"});
    let destination = text(&api.create("/destinations", spec).await?, "/id")?;
    api.create(
        "/routes",
        json!({"name": unique("r"), "source": source["id"], "destination": destination}),
    )
    .await?;
    api.in_force().await?;
    let path = path_of(&text(&source, "/ingest_url")?, api);
    let before = receiver.count();
    for number in 0..30 {
        api.send_json(&path, format!("{{\"n\": {number}}}"))
            .await?
            .expect(202)?;
    }
    let arrived = receiver.wait_for(before + 30, SOON).await?;
    let numbers: Vec<Value> = arrived[before..]
        .iter()
        .map(|arrival| arrival.json()["data"]["n"].clone())
        .collect();
    ensure!(
        numbers == (0..30).map(|n| json!(n)).collect::<Vec<_>>(),
        "{numbers:?}"
    );
    let gaps = arrived[before..]
        .windows(2)
        .map(|pair| pair[1].at.duration_since(pair[0].at));
    let shortest = gaps.min().context("gaps")?;
    ensure!(
        shortest >= Duration::from_millis(19),
        "two at a time: {shortest:?}"
    );
    Ok(())
}

/// 4. On: the call returns with the result, or with a time-out. 6. A query endpoint.
async fn answered(api: &Api) -> anyhow::Result<()> {
    let rest = Receiver::with_script(|arrival| {
        let item = arrival.json()["data"]["item"].clone();
        Reply {
            after: Duration::from_millis(if item == "slow" { 3_000 } else { 0 }),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: format!("{{\"item\": {item}, \"price\": 9.90}}"),
            ..Reply::status(200)
        }
    })?;
    let spec = json!({"name": unique("price"), "methods": ["GET"], "query_params": [{"name": "item", "default": "0"}],
        "request_response": {"enabled": true, "timeout_ms": 1_500}});
    let source = api.create("/sources", spec).await?;
    let spec = json!({"name": unique("shop"), "url": rest.url(), "signing": {"type": "none"}});
    let destination = text(&api.create("/destinations", spec).await?, "/id")?;
    let route =
        json!({"name": unique("r"), "source": source["id"], "destination": destination, "respond": true});
    api.create("/routes", route).await?;
    api.in_force().await?;
    let path = path_of(&text(&source, "/ingest_url")?, api);
    let answer = api.send_as("GET", &format!("{path}?item=42"), &[], "").await?;
    ensure!(
        answer.status == 200 && answer.text == r#"{"item": "42", "price": 9.90}"#,
        "{}: {}",
        answer.status,
        answer.text
    );
    let asked = Instant::now();
    let late = api.send_as("GET", &format!("{path}?item=slow"), &[], "").await?;
    ensure!(
        late.status == 504 && late.header("location").starts_with("/r/"),
        "{}: {}",
        late.status,
        late.text
    );
    ensure!(
        asked.elapsed() < Duration::from_millis(2_900),
        "it waited for the result"
    );
    let result = hookrail_harness::eventually("the result", SOON, || async {
        let answer = api.ask("GET", late.header("location")).await.ok()?;
        (answer.status == 200).then_some(answer.text)
    })
    .await?;
    ensure!(result == r#"{"item": "slow", "price": 9.90}"#, "{result}");
    Ok(())
}
