//! Bodies of every kind and size, declared parameters, and repetitions, from the sender to the receiver.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use hookrail_harness::{Receiver, Reply, Service, Stack, encode, eventually};
use serde_json::{Value, json};

use crate::fixtures::{SOON, destination, entity, route, settled_event, source, text, unique};

const MIB: usize = 1024 * 1024;
const JSON: (&str, &str) = ("content-type", "application/json");

/// A JSON object of exactly `bytes`.
fn large(id: &str, bytes: usize) -> Vec<u8> {
    let head = format!(r#"{{"id":"{id}","text":""#);
    let filling = "0123456789abcdef ".repeat(bytes / 17);
    let mut body = head.into_bytes();
    body.extend_from_slice(&filling.as_bytes()[..bytes - body.len() - 2]);
    body.extend_from_slice(br#""}"#);
    body
}

pub(crate) async fn a_body_of_32_mib_goes_all_the_way(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, kind) = (&stack.api, unique("large"));
    let refuses = Arc::new(AtomicBool::new(true));
    let refusing = Arc::clone(&refuses);
    let raw = Receiver::with_script(move |_| match refusing.load(Ordering::Relaxed) {
        true => Reply::status(422),
        false => Reply::status(204),
    })?;
    let events = Receiver::start()?;
    let spec = json!({"max_body_bytes": 32 * MIB, "entity": {"type": kind, "unique_id": "$.id"}});
    let source = source(api, spec).await?;
    let dies = destination(
        api,
        &raw,
        json!({"format": "raw", "ordering": "key", "timeout_ms": 30000}),
    )
    .await?;
    let to = destination(api, &events, json!({"timeout_ms": 30000})).await?;
    route(api, &source, &dies, &["webhook.received"]).await?;
    route(api, &source, &to, &["entity.created"]).await?;
    let body = large("a", 32 * MIB);
    let headers = [JSON, ("content-encoding", "br")];
    let answer = api
        .send(&source.path, &headers, encode("br", &body))
        .await?
        .expect(202)?;
    let event = text(&answer, "/event_id")?;

    let arrival = events.wait_for(1, SOON * 2).await?.remove(0);
    let head = String::from_utf8_lossy(&arrival.body[..300]).into_owned();
    ensure!(head.contains(r#""event_type":"entity.created""#), "{head}");
    ensure!(
        arrival.body.ends_with(
            &body[body.len() - MIB..]
                .iter()
                .chain(b"}")
                .copied()
                .collect::<Vec<u8>>()
        ),
        "the data is whole"
    );
    let bytes = api.call("GET", &format!("/events/{event}/raw"), None).await?;
    ensure!(
        bytes.status == 200 && bytes.text.as_bytes() == body,
        "{} bytes came out",
        bytes.text.len()
    );
    ensure!(entity(api, &kind, "a").await?["data"]["id"] == "a", "the entity");
    let preview = json!({"event_id": event, "filter": {"path": "$.id", "op": "eq", "value": "a"}});
    let preview = api
        .call("POST", &format!("/sources/{}/preview", source.id), Some(&preview))
        .await?
        .expect(200)?;
    ensure!(
        preview["accepted"] == true && preview["entities"][0]["unique_id"] == "a",
        "the preview"
    );

    let dead = || async {
        let found = api
            .get(&format!("/deliveries?destination={dies}&status=dead"))
            .await
            .ok()?;
        found["items"].get(0).cloned()
    };
    let dead = eventually("the refused delivery is dead", SOON, dead).await?;
    let dead = text(&dead, "/id")?;
    refuses.store(false, Ordering::Relaxed);
    // Its dead letter has the body by now, or soon.
    let retried = || async {
        let answer = api
            .call("POST", &format!("/deliveries/{dead}/retry"), None)
            .await
            .ok()?;
        (answer.status < 300).then_some(())
    };
    eventually("the dead delivery is sent again", SOON, retried).await?;
    raw.wait_for(2, SOON * 2).await?;
    let delivered = || async {
        let found = api.get(&format!("/deliveries/{dead}")).await.ok()?;
        (found["status"] == "delivered").then_some(())
    };
    eventually("the journal knows that it is delivered", SOON, delivered).await?;
    for what in [
        json!({"what": "deliveries", "ids": [dead]}),
        json!({"what": "events", "ids": [event]}),
    ] {
        api.call("POST", "/replays", Some(&what)).await?.expect(202)?;
    }
    let arrivals = raw.wait_for(4, SOON * 2).await?;
    ensure!(
        arrivals.iter().all(|arrival| arrival.body == body),
        "each of them is the body as received"
    );
    Ok(())
}

pub(crate) async fn a_large_body_survives_kills(stack: Arc<Stack>) -> anyhow::Result<()> {
    let mut own = stack.another(&[]).await?;
    let is_four = own.nats.is_some();
    let slow = Receiver::with_script(|_| Reply {
        after: Duration::from_secs(2),
        ..Reply::status(204)
    })?;
    let source = source(&own.api, json!({"max_body_bytes": 32 * MIB})).await?;
    let to = destination(&own.api, &slow, json!({"format": "raw", "timeout_ms": 10000})).await?;
    route(&own.api, &source, &to, &["webhook.received"]).await?;
    // The ingress dies somewhere between reading the body and answering.
    let (api, path) = (own.api.clone(), source.path.clone());
    let sending = tokio::spawn(async move { api.send(&path, &[JSON], large("lost", 24 * MIB)).await });
    tokio::time::sleep(Duration::from_millis(250)).await;
    own.kill(if is_four { Service::Ingress.name() } else { "up" });
    let lost = sending.await?.is_ok_and(|answer| answer.status == 202);
    match is_four {
        true => {
            own.start_service(Service::Ingress)?;
            own.wait_ready().await?;
        }
        false => own.start_up().await?,
    }
    let body = large("kept", 8 * MIB);
    let answer = own
        .api
        .send(&source.path, &[JSON], body.clone())
        .await?
        .expect(202)?;
    let event = text(&answer, "/event_id")?;
    // The dispatcher dies while the receiver thinks.
    slow.wait_for(1, SOON * 2).await?;
    own.kill(if is_four { Service::Dispatcher.name() } else { "up" });
    match is_four {
        true => {
            own.start_service(Service::Dispatcher)?;
            own.wait_ready().await?;
        }
        false => own.start_up().await?,
    }
    let api = &own.api;
    let delivered = || async {
        let found = api
            .get(&format!("/deliveries?event={event}&status=delivered"))
            .await
            .ok()?;
        (found["items"].as_array()?.len() == 1).then_some(())
    };
    eventually("the large body is delivered in the end", SOON * 4, delivered).await?;
    let arrivals = slow.arrivals();
    ensure!(arrivals.iter().any(|arrival| arrival.body == body), "as received");
    let status = api.get(&format!("/sources/{}/status", source.id)).await?;
    let received = status["received"].as_u64().context("a count")?;
    ensure!(received == 1 + u64::from(lost) || received == 2, "{status}");
    Ok(())
}

pub(crate) async fn bodies_of_every_kind_become_data(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver, kind) = (&stack.api, Receiver::start()?, unique("item"));
    let spec = json!({"query_params": [{"name": "item", "default": "0"}, {"name": "unit"}],
        "filter": {"query": "item", "op": "ne", "value": "skip"}});
    let source = source(api, spec).await?;
    let to = destination(api, &receiver, json!({})).await?;
    route(api, &source, &to, &["webhook.received"]).await?;
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"a[b]\"\r\n\r\n1\r\n--x\r\n\
        Content-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n\r\n\u{1}\r\n--x--\r\n";
    let file = json!({"filename": "a.bin", "content_type": null, "size": 1, "content_base64": "AQ=="});
    let declared = |item: &str| json!({"item": item, "unit": null});
    // Content type, body, data.
    let cases: Vec<(&str, &str, Value)> = vec![
        ("application/json", "[1]", json!([1])),
        (
            "text/xml",
            "<a b='1'>c</a>",
            json!({"a": {"@b": "1", "#text": "c"}}),
        ),
        (
            "application/x-www-form-urlencoded",
            "a=1&a=2",
            json!({"a": ["1", "2"]}),
        ),
        (
            "multipart/form-data; boundary=x",
            multipart,
            json!({"a": {"b": "1"}, "f": file}),
        ),
        ("text/plain", "hello", json!("hello")),
        ("application/octet-stream", "\u{0}", Value::Null),
    ];
    for (content_type, body, data) in &cases {
        let headers = [("content-type", *content_type)];
        let answer = api.send(&source.path, &headers, *body).await?.expect(202)?;
        let event = settled_event(api, &text(&answer, "/event_id")?).await?;
        ensure!(event["payload"] == *data, "{content_type}: {}", event["payload"]);
    }
    let arrivals = receiver.wait_for(cases.len(), SOON).await?;
    let delivered: Vec<Value> = arrivals.iter().map(|arrival| arrival.json()).collect();
    for (content_type, _, data) in &cases {
        let found = delivered.iter().any(|body| body["data"] == *data);
        ensure!(found, "{content_type} was not delivered as {data}");
    }
    let context = &delivered[0]["current_context"]["query"];
    ensure!(*context == declared("0"), "{context}");
    // A request without a body has its parameters as data.
    let get = async |query: &str| api.ask("GET", &format!("{}{query}", source.path)).await;
    let answer = get("?item=7").await?.expect(202)?;
    let event = settled_event(api, &text(&answer, "/event_id")?).await?;
    ensure!(event["payload"] == declared("7"), "{event}");
    let filtered = get("?item=skip").await?.expect(202)?;
    let filtered = settled_event(api, &text(&filtered, "/event_id")?).await?;
    ensure!(filtered["status"] == "filtered", "{filtered}");
    let arrivals = receiver.wait_for(cases.len() + 1, SOON).await?;
    let last = arrivals.last().context("an arrival")?.json();
    ensure!(last["data"] == declared("7"), "{last}");
    // Parameters are paths' business too.
    let spec = json!({"entity": {"type": kind, "unique_id": "$.item"}});
    let patched = api
        .call("PATCH", &format!("/sources/{}", source.id), Some(&spec))
        .await?;
    ensure!(patched.status == 200, "{}", patched.text);
    api.in_force().await?;
    get("?item=9").await?.expect(202)?;
    entity(api, &kind, "9").await?;
    Ok(())
}

pub(crate) async fn a_repetition_is_told_from_a_new_event(stack: Arc<Stack>) -> anyhow::Result<()> {
    let own = stack
        .another(&[("HOOKRAIL_NATS_DUPLICATE_WINDOW_MS", "10000")])
        .await?;
    let (api, receiver) = (&own.api, Receiver::start()?);
    let dedupe =
        |window: u32| json!({"dedupe": {"enabled": true, "key": {"header": "x-id"}, "window_s": window}});
    let (long, short) = (source(api, dedupe(3600)).await?, source(api, dedupe(1)).await?);
    let to = destination(api, &receiver, json!({})).await?;
    for source in [&long, &short] {
        route(api, source, &to, &["webhook.received"]).await?;
    }
    let send = async |path: &str, id: Option<&str>| {
        let mut headers = vec![JSON];
        headers.extend(id.map(|id| ("x-id", id)));
        api.send(path, &headers, "{}").await
    };
    let first = send(&long.path, Some("1")).await?.expect(202)?;
    let again = send(&long.path, Some("1")).await?.expect(200)?;
    ensure!(first == again, "the broker's window knows it: {first} {again}");
    for _ in 0..2 {
        send(&long.path, None).await?.expect(202)?;
    }
    send(&short.path, Some("1")).await?.expect(202)?;
    tokio::time::sleep(Duration::from_secs(11)).await;
    // The broker has forgotten it; the processor has not.
    let late = send(&long.path, Some("1")).await?.expect(202)?;
    let late = settled_event(api, &text(&late, "/event_id")?).await?;
    ensure!(
        late["status"] == "duplicate" && late["duplicate_of"] == first["event_id"],
        "{late}"
    );
    let new = send(&short.path, Some("1")).await?.expect(202)?;
    ensure!(
        settled_event(api, &text(&new, "/event_id")?).await?["status"] == "processed",
        "{new}"
    );
    let status = api.get(&format!("/sources/{}/status", long.id)).await?;
    let count = |name: &str| status[name].as_u64().unwrap_or_default();
    ensure!(
        (
            count("received"),
            count("processed"),
            count("duplicate"),
            count("queued")
        ) == (4, 3, 1, 0),
        "{status}"
    );
    receiver.wait_for(5, SOON).await?;
    Ok(())
}
