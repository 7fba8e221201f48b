//! Request-response: callers that wait for what becomes of their event.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hookrail_harness::{Answer, Api, Receiver, Reply, Stack, eventually};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::fixtures::{SOON, Source, accepted, destination, route, source_at_once, text, unique};

/// A destination as a REST server: no signature, short retries.
fn rest() -> Value {
    json!({"signing": {"type": "none"}, "retry": {"initial_ms": 100, "max_ms": 100, "jitter": 0.0}})
}

fn waiting(timeout_ms: u32) -> Value {
    json!({"request_response": {"enabled": true, "timeout_ms": timeout_ms}})
}

/// A source whose callers wait, and its destination's id; the destination answers.
async fn answering(
    api: &Api,
    receiver: &Receiver,
    source: Value,
    spec: Value,
) -> anyhow::Result<(Source, String)> {
    let source = source_at_once(api, source).await?;
    let destination = destination(api, receiver, spec).await?;
    respond(api, &source, &destination).await?;
    api.in_force().await?;
    Ok((source, destination))
}

/// Routes a source's events to a destination that answers; gives the route's id.
async fn respond(api: &Api, source: &Source, destination: &str) -> anyhow::Result<String> {
    let spec =
        json!({"name": unique("route"), "source": source.id, "destination": destination, "respond": true});
    text(&api.create("/routes", spec).await?, "/id")
}

/// A receiver that answers as the payload says: `status`, `type`, `body`, after `ms`.
fn obedient() -> anyhow::Result<Receiver> {
    Receiver::with_script(|arrival| {
        let data = &arrival.json()["data"];
        let of = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        Reply {
            status: u16::try_from(data["status"].as_u64().unwrap_or(200)).unwrap_or(200),
            after: Duration::from_millis(data["ms"].as_u64().unwrap_or(0)),
            headers: vec![
                ("content-type".into(), of("type")),
                ("set-cookie".into(), "a=1".into()),
            ],
            body: of("body"),
        }
    })
}

fn call(
    api: &Api,
    source: &Source,
    headers: &[(&str, &str)],
    body: &Value,
) -> JoinHandle<anyhow::Result<Answer>> {
    let (api, path, body) = (api.clone(), source.path.clone(), body.to_string());
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut headers: Vec<(String, String)> = headers.iter().map(owned).collect();
    headers.push(("content-type".into(), "application/json".into()));
    tokio::spawn(async move {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        api.send(&path, &headers, body).await
    })
}

async fn called(api: &Api, source: &Source, body: &Value) -> anyhow::Result<Answer> {
    call(api, source, &[], body).await?
}

/// Asks for a late answer until it is there.
async fn later(api: &Api, location: &str) -> anyhow::Result<Answer> {
    eventually("the late answer", SOON, || async {
        let answer = api.ask("GET", location).await.ok()?;
        (answer.status != 202).then_some(answer)
    })
    .await
}

/// The event's delivery, once it has a status.
async fn delivery_of(api: &Api, event: &str, status: &str) -> anyhow::Result<Value> {
    eventually(&format!("a delivery of {event} is {status}"), SOON, || async {
        let found = api.get(&format!("/deliveries?event={event}")).await.ok()?;
        let first = found["items"][0].clone();
        (first["status"] == status).then_some(first)
    })
    .await
}

pub(crate) async fn a_caller_gets_what_the_destination_answers(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, obedient()?);
    let (source, _) = answering(api, &receiver, waiting(20_000), rest()).await?;
    let cases = [
        (200, "application/json", "{\"price\": 1.10}", "delivered"),
        (201, "application/xml", "<stock n=\"3\"/>", "delivered"),
        (404, "text/plain", "no such item", "dead"),
        (500, "application/json", "{}", "dead"),
        (302, "text/plain", "", "dead"),
        (410, "text/plain", "gone", "dead"),
    ];
    // All at once: each caller gets its own.
    let calls: Vec<_> = cases
        .iter()
        .map(|(status, content_type, body, _)| {
            call(
                api,
                &source,
                &[],
                &json!({"status": status, "type": content_type, "body": body}),
            )
        })
        .collect();
    for (call, (status, content_type, body, end)) in calls.into_iter().zip(cases) {
        let answer = call.await??;
        ensure!(
            (answer.status, answer.header("content-type"), answer.text.as_str())
                == (status, content_type, body),
            "{answer:?}"
        );
        ensure!(answer.header("set-cookie").is_empty(), "{answer:?}");
        let event = answer.header("hookrail-event-id").to_owned();
        let kept = api.get(&format!("/events/{event}/response")).await?;
        let expected = STANDARD.encode(body);
        ensure!(
            kept["status"] == status && kept["body_base64"] == expected,
            "{kept}"
        );
        let delivery = delivery_of(api, &event, end).await?;
        ensure!(delivery["attempts_made"] == 1, "{delivery}");
        ensure!(
            end == "delivered" || delivery["error"]["code"] == "status",
            "{delivery}"
        );
    }
    ensure!(
        receiver.count() == cases.len(),
        "{} calls were made",
        receiver.count()
    );
    Ok(())
}

pub(crate) async fn every_event_has_its_answer(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, obedient()?);
    let mut spec = waiting(20_000);
    spec["filter"] = json!({"not": {"path": "$.skip", "op": "exists"}});
    spec["entity"] = json!({"type": unique("thing"), "unique_id": "$.id"});
    let source = source_at_once(api, spec).await?;
    let mut destination_spec = rest();
    destination_spec["timeout_ms"] = json!(500);
    let destination = destination(api, &receiver, destination_spec).await?;
    api.in_force().await?;
    let no_route = called(api, &source, &json!({"id": 1})).await?;
    ensure!(
        no_route.status == 204 && !no_route.header("hookrail-event-id").is_empty(),
        "{no_route:?}"
    );
    let status = api.get(&format!("/sources/{}/status", source.id)).await?;
    ensure!(
        status["warnings"].to_string().contains("respond.missing"),
        "{status}"
    );
    respond(api, &source, &destination).await?;
    api.in_force().await?;
    let large = "x".repeat(3_000_000);
    let large: &'static str = Box::leak(large.into_boxed_str());
    let slow = json!({"id": 1, "ms": 3_000});
    for (body, status, code) in [
        (json!({"id": 1, "skip": "yes"}), 204, ""),
        (json!({"name": "no id"}), 422, "mapping-unresolved"),
        (slow, 504, "destination-timeout"),
    ] {
        let answer = called(api, &source, &body).await?;
        let found = answer.json()["code"].as_str().unwrap_or_default().to_owned();
        ensure!(
            (answer.status, found.as_str()) == (status, code),
            "{body}: {answer:?}"
        );
    }
    let talkative = Receiver::with_script(move |_| Reply {
        body: large.into(),
        ..Reply::status(200)
    })?;
    let (source, _) = answering(api, &talkative, waiting(20_000), rest()).await?;
    let answer = called(api, &source, &json!({})).await?;
    ensure!(
        answer.status == 502 && answer.json()["code"] == "destination-answer-too-large",
        "{}",
        answer.status
    );
    // Nobody listens there any more; it is tried until the time is up.
    let (source, gone) = answering(api, &receiver, waiting(1_500), rest()).await?;
    let nowhere = json!({"url": "http://127.0.0.1:9/"});
    api.call(
        "PATCH",
        &format!("/destinations/{gone}?probe=false"),
        Some(&nowhere),
    )
    .await?
    .expect(200)?;
    api.in_force().await?;
    let answer = called(api, &source, &json!({})).await?;
    ensure!(matches!(answer.status, 502 | 504), "{answer:?}");
    let event = match answer.status {
        502 => answer.json()["event_id"].as_str().context("an event")?.to_owned(),
        _ => answer.header("hookrail-event-id").to_owned(),
    };
    let dead = delivery_of(api, &event, "dead").await?;
    ensure!(
        dead["error"]["code"] == "connect" && dead["attempts_made"].as_u64() > Some(1),
        "{dead}"
    );
    let plain = source_at_once(api, json!({})).await?;
    api.in_force().await?;
    let event = accepted(api, &plain, "{}").await?;
    let none = api
        .call("GET", &format!("/events/{event}/response"), None)
        .await?;
    ensure!(
        none.status == 404 && none.json()["code"] == "no-response",
        "{none:?}"
    );
    Ok(())
}

pub(crate) async fn a_caller_that_has_gone_asks_later(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, obedient()?);
    let (source, _) = answering(api, &receiver, waiting(30_000), rest()).await?;
    let (impatient, _) = answering(api, &receiver, waiting(500), rest()).await?;
    let slow = json!({"ms": 2_500, "body": "at last", "status": 203});
    let calls = [
        (call(api, &impatient, &[], &slow), 504, ""),
        (call(api, &source, &[("prefer", "wait=1")], &slow), 504, "wait=1"),
        (
            call(api, &source, &[("prefer", "respond-async")], &slow),
            202,
            "respond-async",
        ),
    ];
    let mut told = Vec::new();
    for (call, status, applied) in calls {
        let answer = call.await??;
        let found = (answer.status, answer.header("preference-applied"));
        ensure!(found == (status, applied), "{answer:?}");
        let event = text(&answer.json(), "/event_id")?;
        let location = answer.header("location").to_owned();
        let pending = api.ask("GET", &location).await?;
        ensure!(pending.status == 202, "{pending:?}");
        let none = api
            .call("GET", &format!("/events/{event}/response"), None)
            .await?;
        ensure!(
            none.status == 404 && none.json()["code"] == "response-pending",
            "{none:?}"
        );
        told.push((event, location));
    }
    for (event, location) in told {
        let late = later(api, &location).await?;
        ensure!((late.status, late.text.as_str()) == (203, "at last"), "{late:?}");
        ensure!(late.header("hookrail-event-id") == event, "{late:?}");
    }
    ensure!(receiver.count() == 3, "{} calls were made", receiver.count());
    let unknown = api.ask("GET", &format!("/r/{}", "a".repeat(58))).await?;
    ensure!(unknown.status == 404, "{unknown:?}");
    Ok(())
}

pub(crate) async fn a_repetition_has_the_first_one_s_answer(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, obedient()?);
    let (source, _) = answering(api, &receiver, waiting(30_000), rest()).await?;
    let key = unique("key");
    let key = [("idempotency-key", key.as_str())];
    let body = json!({"ms": 1_500, "body": "once", "status": 409});
    let first = call(api, &source, &key, &body);
    receiver.wait_for(1, SOON).await?;
    let again = [call(api, &source, &key, &body), call(api, &source, &key, &body)];
    let other = call(api, &source, &key, &json!({"ms": 0})).await??;
    ensure!(other.status == 422, "{other:?}");
    let first = first.await??;
    for again in again {
        let again = again.await??;
        ensure!((again.status, again.text.as_str()) == (409, "once"), "{again:?}");
        ensure!(
            again.header("hookrail-event-id") == first.header("hookrail-event-id"),
            "{again:?}"
        );
    }
    let kept = call(api, &source, &key, &body).await??;
    ensure!(
        (kept.status, &kept.text) == (first.status, &first.text),
        "{kept:?}"
    );
    let other = call(api, &source, &key, &json!({"ms": 0})).await??;
    ensure!(
        other.status == 422 && other.json()["code"] == "idempotency-key-reused",
        "{other:?}"
    );
    ensure!(receiver.count() == 1, "{} calls were made", receiver.count());
    Ok(())
}

/// Of a paused route a caller is told at once that it waits in vain, of a paused source at its deadline; either has
/// its answer when that goes on.
pub(crate) async fn a_caller_of_what_is_paused_has_its_answer_later(stack: Arc<Stack>) -> anyhow::Result<()> {
    const PATIENT_MS: u32 = 60_000;
    let (api, receiver) = (&stack.api, obedient()?);
    let to_rest = destination(api, &receiver, rest()).await?;
    let held_by_route = source_at_once(api, waiting(PATIENT_MS)).await?;
    let route = respond(api, &held_by_route, &to_rest).await?;
    let held_by_source = source_at_once(api, waiting(1_500)).await?;
    respond(api, &held_by_source, &to_rest).await?;
    let pause = async |paused: bool| {
        for path in [
            format!("/routes/{route}"),
            format!("/sources/{}", held_by_source.id),
        ] {
            let change = json!({ "paused": paused });
            api.call("PATCH", &path, Some(&change)).await?.expect(200)?;
        }
        api.in_force().await
    };
    pause(true).await?;
    let body = json!({"type": "text/plain", "body": "late"});
    let begun = Instant::now();
    let callers = [&held_by_route, &held_by_source].map(|source| call(api, source, &[], &body));
    let mut locations = Vec::new();
    for caller in callers {
        let answer = caller.await??;
        ensure!(answer.status == 504, "{answer:?}");
        locations.push(answer.header("location").to_owned());
    }
    ensure!(
        begun.elapsed() < Duration::from_millis(u64::from(PATIENT_MS)),
        "told at the deadline only"
    );
    ensure!(receiver.count() == 0, "sent although it is paused");
    pause(false).await?;
    for location in locations {
        let answer = later(api, &location).await?;
        ensure!(
            (answer.status, answer.text.as_str()) == (200, "late"),
            "{answer:?}"
        );
    }
    Ok(())
}

pub(crate) async fn a_lane_that_waits_keeps_no_caller_waiting(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, up) = (&stack.api, Arc::new(AtomicBool::new(false)));
    let is_up = Arc::clone(&up);
    let receiver = Receiver::with_script(move |_| Reply {
        body: "up again".into(),
        ..Reply::status(if is_up.load(Ordering::SeqCst) { 200 } else { 503 })
    })?;
    let ordered = json!({"mode": "source"});
    let plain = source_at_once(api, json!({"ordering": ordered})).await?;
    let (mut sends, mut drops) = (waiting(25_000), waiting(1_000));
    (sends["ordering"], drops["ordering"]) = (ordered.clone(), ordered);
    drops["request_response"]["on_late"] = json!("drop");
    let mut spec = rest();
    spec["ordering"] = json!("destination");
    spec["retry"] = json!({"initial_ms": 3_600_000, "max_ms": 14_400_000});
    let (sends, lane) = answering(api, &receiver, sends, spec).await?;
    let drops = source_at_once(api, drops).await?;
    respond(api, &drops, &lane).await?;
    route(api, &plain, &lane, &["webhook.received"]).await?;
    let head = accepted(api, &plain, "{}").await?;
    delivery_of(api, &head, "parked").await?;
    let started = Instant::now();
    let mut answers = Vec::new();
    for source in [&sends, &drops] {
        let answer = called(api, source, &json!({})).await?;
        ensure!(
            answer.status == 504 && answer.json()["code"] == "deadline",
            "{answer:?}"
        );
        answers.push(answer);
    }
    ensure!(
        started.elapsed() < Duration::from_secs(15),
        "they waited for a lane that waits"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    up.store(true, Ordering::SeqCst);
    let lanes = api
        .get(&format!("/destinations/{lane}/lanes?state=parked"))
        .await?;
    let lane_id = text(&lanes, "/items/0/lane_id")?;
    let retried = api
        .call(
            "POST",
            &format!("/destinations/{lane}/lanes/{lane_id}/retry"),
            None,
        )
        .await?;
    ensure!(retried.status < 300, "{retried:?}");
    let late = later(api, answers[0].header("location")).await?;
    ensure!((late.status, late.text.as_str()) == (200, "up again"), "{late:?}");
    let dropped = later(api, answers[1].header("location")).await?;
    ensure!(
        dropped.status == 504 && dropped.json()["code"] == "destination-expired",
        "{dropped:?}"
    );
    let cancelled = delivery_of(api, answers[1].header("hookrail-event-id"), "cancelled").await?;
    ensure!(
        cancelled["error"]["code"] == "expired" && receiver.count() == 3,
        "{cancelled}"
    );
    Ok(())
}

pub(crate) async fn a_query_endpoint_answers_from_a_rest_server(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    // It answers of the item that it was asked for.
    let receiver = Receiver::with_script(|arrival| {
        let asked: Value = serde_json::from_slice(&arrival.body).unwrap_or_default();
        Reply {
            headers: vec![("content-type".into(), "application/json".into())],
            body: json!({"item": asked["data"]["item"], "stock": 12}).to_string(),
            ..Reply::status(200)
        }
    })?;
    let mut spec = waiting(20_000);
    spec["methods"] = json!(["GET"]);
    spec["query_params"] = json!([{"name": "item", "default": "none"}]);
    spec["filter"] = json!({"path": "$.item", "op": "ne", "value": "none"});
    let (source, _) = answering(api, &receiver, spec, rest()).await?;
    let answer = api
        .ask("GET", &format!("{}?item=42&trace=1", source.path))
        .await?;
    ensure!(
        answer.status == 200 && answer.json() == json!({"item": "42", "stock": 12}),
        "{answer:?}"
    );
    let answer = api.ask("GET", &source.path).await?;
    ensure!(answer.status == 204, "{answer:?}");
    ensure!(receiver.count() == 1, "{} calls were made", receiver.count());
    Ok(())
}

pub(crate) async fn an_answer_survives_the_death_of_both_ends(stack: Arc<Stack>) -> anyhow::Result<()> {
    let mut own = stack.another(&[]).await?;
    let (api, receiver) = (own.api.clone(), obedient()?);
    let (source, _) = answering(&api, &receiver, waiting(60_000), rest()).await?;
    let key = [("idempotency-key", "survives")];
    let body = json!({"ms": 1_000, "body": "here it is"});
    let lost = call(&api, &source, &key, &body);
    receiver.wait_for(1, SOON).await?;
    own.restart_both_ends().await?;
    ensure!(lost.await?.is_err(), "its ingress was killed while it waited");
    // The delivery was in the hands of one that is dead: it is sent again, and the caller's repetition
    // has its answer.
    let again = call(&api, &source, &key, &body).await??;
    ensure!(
        (again.status, again.text.as_str()) == (200, "here it is"),
        "{again:?}"
    );
    let kept = call(&api, &source, &key, &body).await??;
    ensure!((kept.status, &kept.text) == (200, &again.text), "{kept:?}");
    let ids: Vec<_> = receiver
        .arrivals()
        .iter()
        .map(|a| a.header("webhook-id").to_owned())
        .collect();
    ensure!(ids.len() <= 2 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    Ok(())
}
