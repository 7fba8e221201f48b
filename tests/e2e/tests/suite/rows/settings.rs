//! C: the webhook settings of an admin.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use hookrail_harness::{Receiver, Stack};
use serde_json::json;

use crate::fixtures::{SOON, text, unique};

pub(crate) async fn webhook_settings_of_an_admin(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);

    // 3. The event types are listed, each with a sample of its body.
    let types = api.get("/event-types?limit=200").await?;
    let types = types["items"].as_array().context("a list")?;
    for name in [
        "webhook.received",
        "entity.created",
        "entity.updated",
        "entity.deleted",
        "delivery.dead",
        "hookrail.ping",
    ] {
        let one = types
            .iter()
            .find(|one| one["name"] == name)
            .with_context(|| name.to_owned())?;
        let sample = &one["sample"];
        ensure!(
            sample["event_type"] == name && sample["data"].is_object() && sample["event_time"].is_string(),
            "{one}"
        );
    }

    // 1. A name, the events that trigger it, a notification type, a URL, an API key. 4. Create or cancel.
    let name = unique("settings");
    let spec = json!({"name": name, "notification_type": "rest", "url": format!("{}/hook", receiver.url()),
        "events": ["customer.vip"], "api_key": "key-0123456789-wxyz"});
    if !types.iter().any(|one| one["name"] == "customer.vip") {
        let own =
            json!({"name": "customer.vip", "description": "A customer became one", "sample": {"id": 42}});
        // The other installation's scenario may have made it meanwhile.
        api.call("POST", "/event-types", Some(&own)).await?;
    }
    let tried = api
        .call("POST", "/destinations/test", Some(&spec))
        .await?
        .expect(200)?;
    ensure!(tried["response"]["status"] == 204, "{tried}");
    let all = api.get("/destinations?limit=200").await?;
    ensure!(!all.to_string().contains(&name), "a test saves nothing");
    let created = api.create("/destinations", spec).await?;
    let id = text(&created, "/id")?;
    ensure!(
        created["api_key"]["hint"] == "…wxyz" && !created.to_string().contains("0123456789"),
        "{created}"
    );
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;

    // 2. The body, and the key by which the receiver knows the sender.
    let before = receiver.count();
    let posted = json!({"event_type": "customer.vip", "data": {"id": 42, "credit": 1.5}, "current_context": {"by": "me"}});
    api.call("POST", "/events", Some(&posted)).await?.expect(202)?;
    let arrived = receiver.wait_for(before + 1, SOON).await?;
    let arrival = arrived.last().context("an arrival")?;
    ensure!(arrival.header("x-api-key") == "key-0123456789-wxyz");
    let body = arrival.json();
    let members: Vec<&String> = body.as_object().context("an object")?.keys().collect();
    ensure!(
        members == ["event_time", "event_type", "current_context", "data"],
        "{body}"
    );
    ensure!(
        body["event_type"] == "customer.vip" && body["data"]["id"] == 42,
        "{body}"
    );
    ensure!(
        body["current_context"].to_string().contains("\"by\":\"me\""),
        "{body}"
    );

    // 4. List, edit, delete.
    let listed = api.get("/destinations?limit=200").await?;
    ensure!(
        listed["items"]
            .as_array()
            .is_some_and(|items| items.iter().any(|one| one["id"] == id.as_str()))
    );
    let edited = json!({"name": format!("{name}-2"), "events": ["entity.deleted"]});
    let edited = api
        .call("PATCH", &format!("/destinations/{id}"), Some(&edited))
        .await?
        .expect(200)?;
    ensure!(
        edited["events"] == json!(["entity.deleted"]) && edited["api_key"]["hint"] == "…wxyz",
        "{edited}"
    );
    api.call("DELETE", &format!("/destinations/{id}"), None)
        .await?
        .expect(204)?;
    ensure!(
        api.call("GET", &format!("/destinations/{id}"), None)
            .await?
            .status
            == 404
    );
    Ok(())
}
