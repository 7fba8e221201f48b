//! From payload to entity: updates, filters, mappings that do not resolve.

use std::sync::Arc;

use anyhow::ensure;
use hookrail_harness::{Receiver, Stack, eventually};
use serde_json::json;

use crate::fixtures::{SOON, accepted, destination, entity, route, settled_event, source, unique};

pub(crate) async fn an_update_of_the_same_object_updates_the_entity(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let kind = unique("customer");
    let rules = json!({"type": kind, "unique_id": "$.id", "title": "$.email", "fields": {"city": "$.city"}});
    let source = source(api, json!({"entity": rules})).await?;
    let destination = destination(api, &receiver, json!({"ordering": "key"})).await?;
    route(api, &source, &destination, &["entity.created", "entity.updated"]).await?;

    accepted(api, &source, r#"{"id":42,"email":"a@example.com","city":"Bern"}"#).await?;
    accepted(api, &source, r#"{"id":42,"email":"a@example.com","city":"Bern"}"#).await?;
    let last = accepted(
        api,
        &source,
        r#"{"id":42,"email":"a@example.com","city":"Basel"}"#,
    )
    .await?;
    settled_event(api, &last).await?;
    let arrivals = receiver.wait_for(2, SOON).await?;
    let types: Vec<_> = arrivals
        .iter()
        .map(|a| a.json()["event_type"].as_str().map(str::to_owned))
        .collect();
    ensure!(
        types == [Some("entity.created".into()), Some("entity.updated".into())],
        "{types:?}"
    );
    let previous = arrivals[1].json()["current_context"]["previous_fields"].clone();
    ensure!(previous["city"] == "Bern", "previous_fields {previous}");

    let stored = entity(api, &kind, "42").await?;
    ensure!(
        stored["data"]["city"] == "Basel" && stored["fields"]["city"] == "Basel",
        "{stored}"
    );
    ensure!(stored["last_event_id"] == last.as_str(), "{stored}");
    Ok(())
}

pub(crate) async fn a_filter_leaves_events_out_and_says_so(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let filter = json!({"all": [
        {"path": "$.event_type", "op": "eq", "value": "user"},
        {"not": {"path": "$.tags[*]", "op": "in", "value": ["test", "demo"]}},
        {"any": [{"path": "$.id", "op": "exists", "value": true}, {"header": "X-Force", "op": "contains", "value": "yes"}]}
    ]});
    let source = source(api, json!({"filter": filter})).await?;
    let destination = destination(api, &receiver, json!({})).await?;
    route(api, &source, &destination, &["webhook.received"]).await?;

    for (body, expected) in [
        (r#"{"event_type":"user","id":1}"#, "processed"),
        (r#"{"event_type":"order","id":2}"#, "filtered"),
        (
            r#"{"event_type":"user","id":3,"tags":["new","test"]}"#,
            "filtered",
        ),
        (r#"{"event_type":"user"}"#, "filtered"),
    ] {
        let event = accepted(api, &source, body).await?;
        let status = settled_event(api, &event).await?["status"].clone();
        ensure!(status == expected, "{body}: {status}");
    }
    ensure!(
        receiver.wait_for(1, SOON).await?.len() == 1,
        "only one is delivered"
    );
    let status = api.get(&format!("/sources/{}/status", source.id)).await?;
    ensure!(
        status["received"] == 4 && status["processed"] == 1 && status["filtered"] == 3,
        "{status}"
    );
    Ok(())
}

pub(crate) async fn a_payload_without_the_id_fails_and_the_source_warns(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let api = &stack.api;
    let kind = unique("customer");
    let rules = json!({"type": kind, "unique_id": "$.id", "title": "$.email"});
    let source = source(api, json!({"entity": rules})).await?;
    let failed = accepted(api, &source, r#"{"name":"no id here"}"#).await?;
    let good = accepted(api, &source, r#"{"id":"k","name":"no title here"}"#).await?;

    let event = settled_event(api, &failed).await?;
    ensure!(
        event["status"] == "failed" && event["error"]["code"] == "mapping.unresolved",
        "{event}"
    );
    ensure!(
        settled_event(api, &good).await?["status"] == "processed",
        "the partition goes on"
    );
    entity(api, &kind, "k").await?;
    let path = format!("/sources/{}/status", source.id);
    let status = eventually("the source warns of the title", SOON, || async {
        let status = api.get(&path).await.ok()?;
        let warns = |field: &str| {
            status["warnings"]
                .as_array()?
                .iter()
                .any(|w| w["field"] == field)
                .then_some(())
        };
        warns("title").map(|()| status)
    })
    .await?;
    ensure!(status["state"] == "warning" && status["failed"] == 1, "{status}");
    let sum = ["processed", "filtered", "failed", "duplicate", "queued"]
        .iter()
        .map(|n| status[*n].as_i64())
        .sum::<Option<i64>>();
    ensure!(
        sum == status["received"].as_i64(),
        "the counters add up: {status}"
    );
    Ok(())
}
