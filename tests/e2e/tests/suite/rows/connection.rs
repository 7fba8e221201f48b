//! B: an inbound and an outbound webhook connection.

use std::sync::Arc;

use anyhow::ensure;
use hookrail_harness::{Receiver, Reply, Stack};
use serde_json::json;

use super::status_of;
use crate::fixtures::{SOON, accepted, entity, route, settled_event, source, text, unique};

pub(crate) async fn an_inbound_and_outbound_connection(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, kind) = (&stack.api, unique("item"));
    let rules = json!({"type": kind, "path": "$", "unique_id": "$.id", "title": "$.title"});
    let source = source(api, json!({"entity": rules})).await?;

    // 1. A JSON object, an array of them, XML, without authentication; anything else is no event.
    accepted(api, &source, r#"{"id": 1, "title": "one"}"#).await?;
    api.call(
        "PATCH",
        &format!("/sources/{}", source.id),
        Some(&json!({"entity": {"path": "$[*]"}})),
    )
    .await?
    .expect(200)?;
    api.in_force().await?;
    accepted(
        api,
        &source,
        r#"[{"id": 2, "title": "two"}, {"id": 3, "title": "three"}]"#,
    )
    .await?;
    api.call(
        "PATCH",
        &format!("/sources/{}", source.id),
        Some(&json!({"entity": {"path": "$.item"}})),
    )
    .await?
    .expect(200)?;
    api.in_force().await?;
    let xml = [("content-type", "application/xml")];
    api.send(&source.path, &xml, "<item><id>4</id><title>four</title></item>")
        .await?
        .expect(202)?;
    for (id, title) in [("1", "one"), ("2", "two"), ("3", "three"), ("4", "four")] {
        ensure!(entity(api, &kind, id).await?["title"] == title);
    }
    ensure!(api.send(&source.path, &xml, "<item><id>4</item>").await?.status == 400);
    ensure!(api.send_json(&source.path, "{\"id\": ").await?.status == 400);

    // 2. While a required path does not resolve, the source warns, names the field, and shows the payload.
    let without = accepted(api, &source, r#"{"item": {"title": "nameless"}}"#).await?;
    settled_event(api, &without).await?;
    let status = status_of(api, &source.id, |status| status["state"] == "warning").await?;
    let warning = &status["warnings"][0];
    ensure!(
        warning["field"] == "unique_id" && warning["event_id"] == without.as_str(),
        "{status}"
    );
    let raw = api.raw(&format!("/events/{without}/raw")).await?;
    ensure!(raw == br#"{"item": {"title": "nameless"}}"#, "the JSON we got");
    api.send_json(&source.path, r#"{"item": {"id": 5, "title": "five"}}"#)
        .await?
        .expect(202)?;
    entity(api, &kind, "5").await?;

    // 3. What was received is listed, searched, and triggers.
    let listed = api.get(&format!("/entities?type={kind}")).await?;
    ensure!(
        listed["items"].as_array().is_some_and(|items| items.len() == 5),
        "{listed}"
    );
    let found = api.get(&format!("/entities?type={kind}&q=three")).await?;
    ensure!(found["items"][0]["unique_id"] == "3", "{found}");

    // 4. Outbound: a URL and an authorization header; saving checks it, and says why it fails.
    let receiver = Receiver::with_script(|arrival| {
        Reply::status(if arrival.header("authorization") == "Token abc" {
            200
        } else {
            401
        })
    })?;
    let url = format!("{}/hook", receiver.url());
    let with = |url: &str, value: &str| {
        json!({"name": unique("crm"), "url": url, "events": ["entity.updated"],
            "auth": {"type": "header", "name": "Authorization", "value": value}})
    };
    for (spec, says) in [
        // The API itself is a URL that answers with an error.
        (with(&format!("{}/api/v1/sources", api.api), "Token abc"), "401"),
        (with("http://127.0.0.1:1/", "Token abc"), "connect"),
        (with("http://nobody.invalid/", "Token abc"), "dns"),
        (with("ftp://example.com/", "Token abc"), "/url"),
        (with("not a url", "Token abc"), "/url"),
    ] {
        let refused = api.call("POST", "/destinations", Some(&spec)).await?;
        ensure!(
            refused.status == 422 && refused.text.contains(says),
            "{spec}: {}",
            refused.text
        );
    }
    let crm = text(
        &api.create("/destinations", with(&url, "Token abc")).await?,
        "/id",
    )?;
    route(api, &source, &crm, &["entity.updated"]).await?;
    let before = receiver.count();
    api.send_json(&source.path, r#"{"item": {"id": 3, "title": "changed"}}"#)
        .await?
        .expect(202)?;
    let arrived = receiver.wait_for(before + 1, SOON).await?;
    let told = arrived.last().map(|arrival| arrival.json()).unwrap_or_default();
    ensure!(
        told["event_type"] == "entity.updated" && told["data"]["title"] == "changed",
        "{told}"
    );
    Ok(())
}
