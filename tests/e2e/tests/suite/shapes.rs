//! What a receiver gets: mapped bodies, GET requests and CloudEvents, byte for byte.

use std::sync::Arc;

use anyhow::ensure;
use hookrail_harness::{Api, Receiver, Stack, eventually};
use serde_json::{Value, json};

use crate::fixtures::{SOON, Source, accepted, destination, source, text, unique};

/// An order as senders write it: an id beyond 2^53, a price with its zero.
const ORDER: &str = r#"{"id": 820982911946154508, "total": 1.10, "customer": {"first_name": "Ryan",
    "last_name": "Salisbury", "email": "ryan.salisbury@sakilacustomer.org", "active": true, "note": null},
    "lines": [{"sku": "a b", "n": 2}, {"sku": "ü", "n": 1.50}]}"#;

/// A destination with a receiver of its own, and a route to it.
async fn shaped(
    api: &Api,
    source: &Source,
    spec: Value,
    events: &[&str],
    mapping: Value,
) -> anyhow::Result<(Receiver, String)> {
    let receiver = Receiver::start()?;
    let destination = destination(api, &receiver, spec).await?;
    let route = json!({"name": unique("route"), "source": source.id, "events": events,
        "destination": destination, "mapping": mapping});
    api.create("/routes", route).await?;
    Ok((receiver, destination))
}

pub(crate) async fn receivers_get_what_they_want(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let rules = json!({"type": unique("order"), "unique_id": "$.id", "title": "$.customer.email"});
    let source = source(api, json!({"entity": rules})).await?;
    let mapped = json!({
        "order": "$.id", "a.b": {"total": "$.total"}, "greeting": "Dear {{customer.first_name}}, {{total}}",
        "lines": {"$each": "$.lines", "$map": {"sku": "$.sku", "of": "$event.data.id"}},
        "missing": "$.nope", "country": {"$path": "$.country", "$default": "DE"}, "const": 2.50,
        "type": "$event.event_type", "entity": "$event.current_context.entity.unique_id",
        "header": "$event.request.headers['content-type']"
    });
    let flat = json!({
        "_valmi_meta": {"_valmi_row_num": 347, "_valmi_sync_op": "upsert"},
        "my_first_name": "$.customer.first_name", "my_last_name": "$.customer.last_name",
        "email": "$.customer.email", "active": 1, "_message_id": 346, "_sync_mode": "upsert",
        "note": "$.customer.note", "lines": "$.lines"
    });
    let received = &["webhook.received"][..];
    let (post, _) = shaped(
        api,
        &source,
        json!({"format": "mapped", "method": "PUT"}),
        &["entity.created"],
        mapped,
    )
    .await?;
    let (get, _) = shaped(
        api,
        &source,
        json!({"format": "mapped", "method": "GET"}),
        received,
        flat,
    )
    .await?;
    let (event, clashing) = shaped(
        api,
        &source,
        json!({"method": "GET", "format": "event"}),
        received,
        Value::Null,
    )
    .await?;
    let (structured, _) = shaped(
        api,
        &source,
        json!({"format": "cloudevents"}),
        &["entity.created"],
        Value::Null,
    )
    .await?;
    let (binary, _) = shaped(
        api,
        &source,
        json!({"format": "cloudevents-binary"}),
        received,
        Value::Null,
    )
    .await?;
    api.in_force().await?;
    let id = accepted(api, &source, ORDER).await?;

    let arrival = &post.wait_for(1, SOON).await?[0];
    let expected = concat!(
        r#"{"order":820982911946154508,"a.b":{"total":1.10},"greeting":"Dear Ryan, 1.10","#,
        r#""lines":[{"sku":"a b","of":820982911946154508},{"sku":"ü","of":820982911946154508}],"#,
        r#""country":"DE","const":2.50,"type":"entity.created","entity":"820982911946154508","header":"application/json"}"#
    );
    // The API of the tests reads the mapping's numbers as doubles: 2.50 is sent as 2.5.
    ensure!(
        arrival.text() == expected.replace("2.50", "2.5"),
        "{}",
        arrival.text()
    );
    ensure!(arrival.method == "PUT" && arrival.header("content-type") == "application/json");
    let arrival = &get.wait_for(1, SOON).await?[0];
    let expected = concat!(
        "/hook?_valmi_meta__valmi_row_num=347&_valmi_meta__valmi_sync_op=upsert&my_first_name=Ryan",
        "&my_last_name=Salisbury&email=ryan.salisbury%40sakilacustomer.org&active=1&_message_id=346",
        "&_sync_mode=upsert&note=&lines_0_sku=a+b&lines_0_n=2&lines_1_sku=%C3%BC&lines_1_n=1.50"
    );
    ensure!(
        arrival.method == "GET" && arrival.path == expected,
        "{}",
        arrival.path
    );
    ensure!(arrival.body.is_empty() && arrival.header("content-type").is_empty());
    let path = &event.wait_for(1, SOON).await?[0].path;
    ensure!(
        path.contains("&event_type=webhook.received&current_context_workspace=default&")
            && path.contains("&data_id=820982911946154508&data_total=1.10&"),
        "{path}"
    );
    let arrival = &structured.wait_for(1, SOON).await?[0];
    ensure!(arrival.header("content-type") == "application/cloudevents+json");
    let got = arrival.json();
    ensure!(
        got["specversion"] == "1.0"
            && got["type"] == "entity.created"
            && got["source"] == source.path.as_str(),
        "{got}"
    );
    ensure!(
        got["subject"] == "820982911946154508" && text(&got, "/id")?.starts_with(&format!("{id}.")),
        "{got}"
    );
    ensure!(
        arrival
            .text()
            .contains(r#""data":{"id":820982911946154508,"total":1.10,"#)
    );

    let xml = "<?xml version='1.0'?><id>7</id>";
    api.send(&source.path, &[("content-type", "application/xml")], xml)
        .await?;
    let arrivals = binary.wait_for(2, SOON).await?;
    let json = arrivals.iter().find(|a| a.header("ce-id") == id);
    let json = json.map(|a| (a.text(), a.header("content-type").to_owned()));
    ensure!(
        json == Some((compact(ORDER), "application/json".into())),
        "{json:?}"
    );
    let of_xml = arrivals
        .iter()
        .find(|a| a.header("content-type") == "application/xml");
    ensure!(of_xml.is_some_and(|a| a.text() == xml && a.header("ce-type") == "webhook.received"));

    // Names that only an event shows to be one: its delivery is dead, and others go on.
    accepted(api, &source, r#"{"id": 1, "a_b": 1, "a": {"b": 2}}"#).await?;
    let dead = eventually("a delivery that can't be made is dead", SOON, || async {
        let path = format!("/deliveries?destination={clashing}&status=dead");
        let dead = api.get(&path).await.ok()?;
        dead["items"].as_array()?.first().cloned()
    })
    .await?;
    ensure!(dead["error"]["code"] == "render", "{dead}");
    Ok(())
}

/// Without the spaces and line feeds between tokens, of which none is in a text here.
fn compact(json: &str) -> String {
    let mut inside = false;
    let keep = |c: &char| {
        inside ^= *c == '"';
        inside || !c.is_whitespace()
    };
    json.chars().filter(keep).collect()
}
