//! Deliveries: retries, order within a key, formats, what can be seen of them.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use hookrail_harness::{Arrival, Receiver, Reply, Stack, eventually};
use serde_json::json;

use crate::fixtures::{SOON, accepted, destination, route, source, unique};

fn number(arrival: &Arrival) -> (i64, i64) {
    let data = &arrival.json()["data"];
    (
        data["id"].as_i64().unwrap_or(-1),
        data["n"].as_i64().unwrap_or(-1),
    )
}

fn quick_retry() -> serde_json::Value {
    json!({"initial_ms": 200, "multiplier": 1.5, "max_ms": 1000, "jitter": 0.0})
}

pub(crate) async fn a_failed_delivery_is_tried_again_and_its_key_waits(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let api = &stack.api;
    // The first two attempts of each delivery of key 1 fail.
    let receiver = Receiver::with_script(|arrival| {
        let tries: u32 = arrival.header("hookrail-attempt").parse().unwrap_or(0);
        let fails = number(arrival).0 == 1 && tries <= 2;
        Reply::status(if fails { 500 } else { 200 })
    })?;
    let kind = unique("thing");
    let source = source(api, json!({"entity": {"type": kind, "unique_id": "$.id"}})).await?;
    let destination = destination(api, &receiver, json!({"ordering": "key", "retry": quick_retry()})).await?;
    route(api, &source, &destination, &["entity.created", "entity.updated"]).await?;
    for n in 0..4 {
        accepted(api, &source, &format!(r#"{{"id":1,"n":{n}}}"#)).await?;
    }
    let arrivals = receiver.wait_for(12, SOON).await?;
    let order: Vec<(i64, u16)> = arrivals.iter().map(|a| (number(a).1, a.answered)).collect();
    let expected: Vec<(i64, u16)> = (0..4).flat_map(|n| [(n, 500), (n, 500), (n, 200)]).collect();
    ensure!(order == expected, "{order:?}");
    let ids: Vec<&str> = arrivals[..3].iter().map(|a| a.header("webhook-id")).collect();
    ensure!(
        ids[0].starts_with("dlv_") && ids.iter().all(|id| *id == ids[0]),
        "the same webhook-id: {ids:?}"
    );
    Ok(())
}

pub(crate) async fn keys_do_not_wait_for_each_other(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let receiver = Receiver::with_script(|arrival| {
        let hangs = number(arrival).0 == 0;
        Reply {
            after: Duration::from_secs(if hangs { 30 } else { 0 }),
            ..Reply::status(200)
        }
    })?;
    let kind = unique("thing");
    let source = source(api, json!({"entity": {"type": kind, "unique_id": "$.id"}})).await?;
    let destination = destination(
        api,
        &receiver,
        json!({"ordering": "key", "timeout_ms": 2000, "retry": quick_retry()}),
    )
    .await?;
    route(api, &source, &destination, &["entity.created", "entity.updated"]).await?;
    for n in 0..20 {
        for id in 0..4 {
            accepted(api, &source, &format!(r#"{{"id":{id},"n":{n}}}"#)).await?;
        }
    }
    let others =
        || async { (receiver.arrivals().iter().filter(|a| number(a).0 != 0).count() >= 60).then_some(()) };
    eventually("the other keys' 60 deliveries", SOON, others).await?;
    for id in 1..4 {
        let order: Vec<i64> = receiver
            .arrivals()
            .iter()
            .map(number)
            .filter(|(i, _)| *i == id)
            .map(|(_, n)| n)
            .collect();
        ensure!(order == (0..20).collect::<Vec<_>>(), "key {id}: {order:?}");
    }
    let hung: Vec<i64> = receiver
        .arrivals()
        .iter()
        .map(number)
        .filter(|(i, _)| *i == 0)
        .map(|(_, n)| n)
        .collect();
    ensure!(
        hung.iter().all(|n| *n == 0),
        "the hanging key waits at its head: {hung:?}"
    );
    // What hangs is taken away, so that it does not go on through the other scenarios.
    api.call("DELETE", &format!("/sources/{}?force=true", source.id), None)
        .await?;
    Ok(())
}

pub(crate) async fn the_raw_format_sends_the_bytes_as_received(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let source = source(api, json!({})).await?;
    let destination = destination(
        api,
        &receiver,
        json!({"format": "raw", "signing": {"type": "none"}, "headers": {"X-Team": "a"}}),
    )
    .await?;
    route(api, &source, &destination, &["webhook.received"]).await?;
    let body = "{ \"b\" : 1.50,\r\n\t\"a\":[1e400, 12345678901234567890] , \"b\":2}";
    api.send(
        &source.path,
        &[("content-type", "application/json; charset=utf-8")],
        body,
    )
    .await?
    .expect(202)?;
    let arrival = receiver.wait_for(1, SOON).await?.remove(0);
    ensure!(arrival.text() == body, "{}", arrival.text());
    ensure!(
        arrival.header("content-type") == "application/json; charset=utf-8",
        "{:?}",
        arrival.headers
    );
    ensure!(
        arrival.header("x-team") == "a" && arrival.header("webhook-signature").is_empty(),
        "{:?}",
        arrival.headers
    );
    Ok(())
}

pub(crate) async fn deliveries_and_attempts_can_be_looked_at(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let receiver = Receiver::with_script(|arrival| {
        let first = arrival.header("hookrail-attempt") == "1";
        Reply {
            body: "come again".into(),
            ..Reply::status(if first { 503 } else { 200 })
        }
    })?;
    let source = source(api, json!({})).await?;
    let auth = json!({"type": "header", "name": "Authorization", "value": "Token planted-secret-value"});
    let destination = destination(api, &receiver, json!({"retry": quick_retry(), "auth": auth})).await?;
    route(api, &source, &destination, &["webhook.received"]).await?;
    let event = accepted(api, &source, r#"{"a":1}"#).await?;
    let arrivals = receiver.wait_for(2, SOON).await?;
    ensure!(
        arrivals[0].header("authorization") == "Token planted-secret-value",
        "{:?}",
        arrivals[0].headers
    );

    let listed = eventually("the delivery is delivered", SOON, || async {
        let listed = api.get(&format!("/deliveries?event={event}")).await.ok()?;
        (listed["items"][0]["status"] == "delivered").then_some(listed)
    })
    .await?;
    let id = crate::fixtures::text(&listed, "/items/0/id")?;
    ensure!(id == arrivals[0].header("webhook-id"), "{listed}");
    let shown = eventually("both attempts are in the journal", SOON, || async {
        let shown = api.get(&format!("/deliveries/{id}")).await.ok()?;
        (shown["attempts"].as_array()?.len() == 2).then_some(shown)
    })
    .await?;
    let first = &shown["attempts"][0];
    ensure!(
        first["response"]["status"] == 503 && first["error"]["code"] == "status",
        "{first}"
    );
    ensure!(first["response"].to_string().contains("come again"), "{first}");
    ensure!(
        !shown.to_string().contains("planted-secret-value"),
        "a credential is shown: {shown}"
    );
    Ok(())
}

pub(crate) async fn a_redirect_is_not_followed(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, other) = (&stack.api, Receiver::start()?);
    let elsewhere = other.url().to_owned();
    let receiver = Receiver::with_script(move |arrival| {
        let first = arrival.header("hookrail-attempt") == "1";
        let headers = vec![("location".to_owned(), elsewhere.clone())];
        if first {
            Reply {
                headers,
                ..Reply::status(307)
            }
        } else {
            Reply::status(200)
        }
    })?;
    let source = source(api, json!({})).await?;
    let destination = destination(api, &receiver, json!({"retry": quick_retry()})).await?;
    route(api, &source, &destination, &["webhook.received"]).await?;
    accepted(api, &source, "{}").await?;
    receiver.wait_for(2, SOON).await?;
    ensure!(other.count() == 0, "the redirect was followed");
    Ok(())
}
