//! Importing existing objects, and looking at what rules would make of them before that.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use hookrail_harness::{Api, Stack, eventually};
use serde_json::{Value, json};

use crate::fixtures::{SOON, source, text, unique};

/// How long an import may take on a busy machine, seconds.
const MANY_SOON: u64 = 120;
/// What lines of JSON are called.
const NDJSON: &str = "application/x-ndjson";

/// The import, once it has ended.
async fn ended(api: &Api, id: &str) -> anyhow::Result<Value> {
    eventually(&format!("import {id} ends"), MANY_SOON, || async {
        let import = api.get(&format!("/imports/{id}")).await.ok()?;
        let is_open = ["uploading", "queued", "running"]
            .iter()
            .any(|s| import["status"] == *s);
        (!is_open).then_some(import)
    })
    .await
}

pub(crate) async fn an_import_loads_every_line_once_though_its_worker_is_killed(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let mut own = stack.another(&[]).await?;
    let (api, count, objects) = (own.api.clone(), 6_000_u64, 1_500);
    let kind = unique("customer");
    let rules = json!({"type": kind, "unique_id": "$.id", "fields": {"n": "$.n"}});
    let source = source(&api, json!({"entity": rules})).await?;
    let mut lines: Vec<String> = (0..count)
        .map(|n| format!(r#"{{"id": {}, "n": {n}}}"#, 9_007_199_254_740_993 + n % objects))
        .collect();
    // Of 6,004 lines two are no JSON, one is empty, and one has no id: an event that fails.
    lines.insert(5, "{\"id\": ".to_owned());
    lines.insert(3_500, String::new());
    lines.insert(4_500, "not json".to_owned());
    lines.push(r#"{"n": 1}"#.to_owned());
    let path = format!("/sources/{}/import", source.id);
    let body = lines.join("\n");
    let key = [("idempotency-key", "import-1")];
    let first = api.post_as(&path, NDJSON, &key, body.clone()).await?;
    let location = first.header("location").to_owned();
    let id = text(&first.expect(202)?, "/id")?;
    ensure!(location == format!("/api/v1/imports/{id}"), "{location}");
    let again = api.post_as(&path, NDJSON, &key, body).await?;
    ensure!(again.header("idempotency-replayed") == "true" && text(&again.expect(202)?, "/id")? == id);

    let quarter = || async {
        let import = api.get(&format!("/imports/{id}")).await.ok()?;
        (import["progress"]["accepted"].as_u64()? >= count / 4).then_some(import)
    };
    let import = eventually("a quarter is loaded", MANY_SOON, quarter).await?;
    ensure!(import["status"] == "running", "killed too late: {import}");
    own.restart_processor().await?;
    let import = ended(&api, &id)
        .await
        .map_err(|error| error.context(own.tails(30)))?;
    let progress = json!({"lines": 6_004, "read": 6_004, "accepted": 6_001, "failed": 2,
        "bytes": import["progress"]["bytes"]});
    ensure!(
        import["status"] == "done" && import["progress"] == progress,
        "{import}"
    );
    let failed: Vec<_> = import["failures"].as_array().context("a list")?.iter().collect();
    let at = |place: usize| (failed[place]["line"].as_u64(), failed[place]["reason"].as_str());
    ensure!(
        failed.len() == 2
            && at(0) == (Some(6), Some("malformed"))
            && at(1) == (Some(4_501), Some("malformed")),
        "{import}"
    );

    let status = eventually("all lines are processed", MANY_SOON, || async {
        let status = api.get(&format!("/sources/{}/status", source.id)).await.ok()?;
        (status["queued"] == 0 && status["received"].as_u64()? >= count).then_some(status)
    })
    .await?;
    let figure = |name: &str| status[name].as_u64().unwrap_or(u64::MAX);
    ensure!(
        (
            figure("received"),
            figure("processed"),
            figure("failed"),
            figure("duplicate")
        ) == (6_001, 6_000, 1, 0),
        "each line is one event: {status}"
    );
    // Lines of one object are in one partition, so the last of them counts.
    for n in [0, 1, 1_499] {
        let path = format!("/entities/{kind}/{}", 9_007_199_254_740_993_u64 + n);
        let entity = api.get(&path).await?;
        ensure!(entity["data"]["n"] == json!(count - objects + n), "{entity}");
    }
    Ok(())
}

pub(crate) async fn an_import_waits_for_its_source_and_can_be_stopped(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let api = &stack.api;
    let source = source(api, json!({})).await?;
    let path = format!("/sources/{}/import", source.id);
    for (media_type, body, status) in [("application/json", "{}", 415), (NDJSON, "", 422)] {
        let refused = api.post_as(&path, media_type, &[], body).await?;
        ensure!(refused.status == status, "{media_type} {body}: {}", refused.text);
    }
    let switch = async |enabled: bool| {
        let patch = json!({ "enabled": enabled });
        let changed = api
            .call("PATCH", &format!("/sources/{}", source.id), Some(&patch))
            .await?;
        changed.expect(200).map(drop)
    };
    switch(false).await?;
    let refused = api.post_as(&path, NDJSON, &[], "{}").await?;
    ensure!(refused.status == 409, "{}", refused.text);
    switch(true).await?;
    // It is disabled before its 200,000 lines are loaded.
    let created = api
        .post_as(&path, NDJSON, &[], "{}\n".repeat(200_000))
        .await?
        .expect(202)?;
    let id = text(&created, "/id")?;
    switch(false).await?;
    let path = format!("/imports/{id}");
    eventually("it waits for its source", SOON, || async {
        (api.get(&path).await.ok()?["waits_for"] == "source_enabled").then_some(())
    })
    .await?;
    let cancelled = api
        .call("POST", &format!("{path}/cancel"), None)
        .await?
        .expect(200)?;
    ensure!(cancelled["status"] == "cancelled", "{cancelled}");
    let list = api.get("/imports").await?;
    ensure!(
        list["items"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["id"] == id.as_str()))
    );
    let before = api.get(&path).await?["progress"].clone();
    switch(true).await?;
    api.in_force().await?;
    ensure!(
        api.get(&path).await?["progress"] == before,
        "nothing more is loaded"
    );
    ensure!(before["accepted"].as_u64() < Some(200_000), "{before}");
    let again = api.call("POST", &format!("{path}/cancel"), None).await?;
    ensure!(again.status == 200, "{}", again.text);
    Ok(())
}

pub(crate) async fn rules_are_tried_before_they_are_saved(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let kind = unique("order");
    let rules = json!({"type": kind, "path": "$.order", "unique_id": "$['@id']", "title": "$.Name",
        "fields": {"total": "$.total"}});
    let source = source(api, json!({"entity": rules})).await?;
    let preview = async |body: Value| {
        let path = format!("/sources/{}/preview", source.id);
        api.call("POST", &path, Some(&body)).await?.expect(200)
    };
    let xml = "<order id=\"7\"><Name>N</Name><total>1.10</total></order>";
    let pasted = json!({"payload_text": xml, "content_type": "application/xml"});
    let shown = preview(pasted.clone()).await?;
    let entity = |change: &str| {
        json!({"unique_id": "7", "title": "N", "fields": {"total": "1.10"}, "change": change,
        "data": {"@id": "7", "Name": "N", "total": "1.10"}})
    };
    ensure!(shown["entities"] == json!([entity("created")]), "{shown}");
    ensure!(
        shown["payload"] == json!({"order": {"@id": "7", "Name": "N", "total": "1.10"}}),
        "{shown}"
    );
    ensure!(
        shown["suggestions"]["entity_paths"] == json!(["$.order"]),
        "{shown}"
    );
    ensure!(
        shown["suggestions"]["unique_ids"] == json!(["$[\"@id\"]"]),
        "{shown}"
    );
    ensure!(shown["suggestions"]["titles"] == json!(["$.Name"]), "{shown}");

    let sent = api
        .send(&source.path, &[("content-type", "application/xml")], xml)
        .await?
        .expect(202)?;
    crate::fixtures::settled_event(api, &text(&sent, "/event_id")?).await?;
    ensure!(preview(pasted).await?["entities"][0]["change"] == "unchanged");
    ensure!(
        preview(json!({})).await?["event_id"] == sent["event_id"],
        "the newest event, where nothing is given"
    );
    let changed = xml.replace("1.10", "2.20");
    let pasted = json!({"payload_text": changed, "content_type": "text/plain", "body_format": "xml"});
    ensure!(preview(pasted).await?["entities"][0]["change"] == "updated");

    let filter =
        json!({"any": [{"header": "x-a", "op": "eq", "value": "1"}, {"query": "q", "op": "exists"}]});
    let shown =
        preview(json!({"payload": {}, "headers": {"X-A": "1"}, "filter": filter, "entity": null})).await?;
    let results: Vec<_> = shown["conditions"]
        .as_array()
        .context("conditions")?
        .iter()
        .map(|c| &c["result"])
        .collect();
    ensure!(shown["accepted"] == true && results == [true, false], "{shown}");
    let path = format!("/sources/{}/preview", source.id);
    let refused = api
        .call(
            "POST",
            &path,
            Some(&json!({"payload_text": "<a>", "content_type": "text/xml"})),
        )
        .await?;
    ensure!(
        refused.status == 422 && refused.json()["errors"][0]["pointer"] == "/payload_text",
        "{}",
        refused.text
    );
    Ok(())
}

/// An event in the state that `status` counts.
async fn counted(api: &Api, source: &str, expected: [u64; 5]) -> anyhow::Result<Value> {
    let names = ["received", "processed", "filtered", "failed", "duplicate"];
    eventually(&format!("the counters of {source}"), SOON, || async {
        let status = api.get(&format!("/sources/{source}/status")).await.ok()?;
        let found = names.map(|name| status[name].as_u64().unwrap_or(u64::MAX));
        (found == expected && status["queued"] == 0).then_some(status)
    })
    .await
}

pub(crate) async fn every_outcome_is_counted_and_mending_ends_the_warning(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let api = &stack.api;
    let rules = |id: &str| json!({"type": "outcome", "unique_id": id});
    let spec = json!({"filter": {"path": "$.kind", "op": "ne", "value": "noise"}, "entity": rules("$.ident"),
        "ordering": {"mode": "key", "key": {"path": "$.id"}},
        "dedupe": {"enabled": true, "key": {"header": "X-Delivery"}}});
    let source = source(api, spec).await?;
    let send = async |delivery: &str, body: &str| {
        let headers = [("content-type", "application/json"), ("x-delivery", delivery)];
        api.send(&source.path, &headers, body).await
    };
    send("1", r#"{"id": 1, "kind": "noise"}"#).await?.expect(202)?;
    let failed = text(&send("2", r#"{"id": 2}"#).await?.expect(202)?, "/event_id")?;
    // A repetition that the broker knows is no event; one in another partition is, and ends as a duplicate.
    send("2", r#"{"id": 2}"#).await?.expect(200)?;
    counted(api, &source.id, [2, 0, 1, 1, 0]).await?;
    let mut duplicates = 0;
    for id in 3..40 {
        let answer = send("2", &format!(r#"{{"id": {id}}}"#)).await?;
        duplicates += u64::from(answer.status == 202);
        if duplicates == 2 {
            break;
        }
    }
    let status = counted(api, &source.id, [2 + duplicates, 0, 1, 1, duplicates]).await?;
    let warning = json!({"code": "mapping.unresolved", "field": "unique_id", "path": "$.ident", "event_id": failed,
        "at": status["warnings"][0]["at"]});
    ensure!(
        status["state"] == "warning" && status["warnings"] == json!([warning]),
        "{status}"
    );

    let patch = json!({"entity": rules("$.id")});
    let path = format!("/sources/{}", source.id);
    api.call("PATCH", &path, Some(&patch)).await?.expect(200)?;
    api.in_force().await?;
    let replay = json!({"what": "events", "filter": {"source": source.id, "status": "failed"}});
    api.call("POST", "/replays", Some(&replay)).await?.expect(202)?;
    let status = counted(api, &source.id, [2 + duplicates, 1, 1, 0, duplicates]).await?;
    ensure!(
        status["state"] == "receiving" && status["warnings"] == json!([]),
        "{status}"
    );
    Ok(())
}
