//! What is paused holds what it gets, and goes on in order; nothing else waits for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _};
use hookrail_harness::{Api, Receiver, Stack, eventually};
use serde_json::{Value, json};

use crate::fixtures::{SOON, Source, accepted, destination, route, source, unique};

/// Webhooks that come while all waits, and after.
const FIRST: u64 = 200;
const LATER: u64 = 40;
const KEYS: u64 = 20;
/// Webhooks sent at once.
const SENDERS: usize = 8;
/// Bytes that a source may hold in these scenarios, and a body of which three are more.
const HELD_MAX: &str = "1000000";
const LARGE: usize = 400_000;

/// Sends webhooks `range`, those of a key one after another.
async fn send(api: &Api, source: &Source, range: std::ops::Range<u64>) -> anyhow::Result<()> {
    let of_key = |key: u64| {
        let numbers = range.clone().filter(move |n| n % KEYS == key);
        async move {
            for n in numbers {
                accepted(api, source, &format!(r#"{{"id":{key},"n":{n}}}"#)).await?;
            }
            anyhow::Ok(())
        }
    };
    futures::stream::iter(0..KEYS)
        .map(of_key)
        .buffer_unordered(SENDERS)
        .try_collect()
        .await
}

/// Every webhook of `count` arrived, those of a key in the order sent. With `kills`, the last delivery of a
/// lane may have come once more for each.
fn check(receiver: &Receiver, count: u64, kills: usize) -> anyhow::Result<()> {
    let mut by_key: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut arrivals = 0;
    for arrival in receiver.arrivals() {
        let data = arrival.json()["data"].clone();
        let number = |name: &str| data[name].as_u64().unwrap_or(u64::MAX);
        by_key.entry(number("id")).or_default().push(number("n"));
        arrivals += 1;
    }
    let lanes = by_key.len();
    let mut all = 0;
    for (key, numbers) in &mut by_key {
        numbers.dedup();
        ensure!(
            numbers.windows(2).all(|pair| pair[0] < pair[1]),
            "key {key}: {numbers:?}"
        );
        all += numbers.len() as u64;
    }
    ensure!(all == count, "{all} of {count} arrived");
    let most = usize::try_from(count)? + kills * lanes;
    ensure!(arrivals <= most, "{arrivals} arrivals of {count}");
    Ok(())
}

/// As [`check`], once it holds.
async fn all_arrive(receiver: &Receiver, count: u64, kills: usize) -> anyhow::Result<()> {
    let all = || async { check(receiver, count, kills).ok() };
    let arrived = eventually("all arrives", 2 * SOON, all).await;
    arrived.or_else(|_| check(receiver, count, kills))
}

async fn pause(api: &Api, path: &str, paused: bool) -> anyhow::Result<()> {
    let change = json!({ "paused": paused });
    let changed = api.call("PATCH", path, Some(&change)).await?.expect(200)?;
    ensure!(changed["paused"] == paused, "{changed}");
    Ok(())
}

/// The source's status, once it is as `wanted`. Its figures add up at every moment.
async fn status(
    api: &Api,
    source: &Source,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let look = || async {
        let status = api.get(&format!("/sources/{}/status", source.id)).await.ok()?;
        let number = |name: &str| status[name].as_u64().unwrap_or_default();
        let sum: u64 = ["processed", "filtered", "failed", "duplicate", "queued"]
            .map(number)
            .iter()
            .sum();
        (sum == number("received") && wanted(&status)).then_some(status)
    };
    eventually(what, 3 * SOON, look).await
}

/// A third large body finds no room; once the source goes on, there is some again.
async fn fill(api: &Api, full: &Source) -> anyhow::Result<()> {
    let body = format!(r#"{{"id":1,"text":"{}"}}"#, "x".repeat(LARGE));
    for _ in 0..3 {
        accepted(api, full, &body).await?;
    }
    let answer = |status: u16| {
        let body = body.clone();
        eventually("the answer", SOON, move || {
            let body = body.clone();
            async move {
                let answer = api.send_json(&full.path, body).await.ok()?;
                (answer.status == status).then_some(answer)
            }
        })
    };
    let refused = answer(503).await?;
    ensure!(
        refused.json()["code"] == "held-full" && !refused.header("retry-after").is_empty(),
        "{}",
        refused.text
    );
    pause(api, &format!("/sources/{}", full.id), false).await?;
    answer(202).await?;
    Ok(())
}

pub(crate) async fn a_paused_source_holds_and_goes_on_in_order_though_its_processor_is_killed(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let mut own = stack
        .another(&[("HOOKRAIL_PROCESSOR_HELD_MAX_BYTES", HELD_MAX)])
        .await?;
    let api = own.api.clone();
    let (receiver, others) = (Receiver::start()?, Receiver::start()?);
    let entity = || json!({"entity": {"type": unique("thing"), "unique_id": "$.id"}, "paused": true});
    let (paused, full) = (source(&api, entity()).await?, source(&api, entity()).await?);
    let mut spec = entity();
    spec["paused"] = json!(false);
    let running = source(&api, spec).await?;
    let ordered = json!({"ordering": "key"});
    let events = ["entity.created", "entity.updated"];
    let to = destination(&api, &receiver, ordered.clone()).await?;
    route(&api, &paused, &to, &events).await?;
    let to = destination(&api, &others, ordered).await?;
    route(&api, &running, &to, &events).await?;

    send(&api, &paused, 0..FIRST).await?;
    send(&api, &running, 0..KEYS).await?;
    others.wait_for(usize::try_from(KEYS)?, SOON).await?;
    let held = |status: &Value| status["state"] == "paused" && status["queued"] == FIRST;
    status(&api, &paused, "all is held", held).await?;
    fill(&api, &full).await?;
    let listed = api
        .get(&format!("/events?status=received&source={}&limit=3", paused.id))
        .await?;
    let event = listed["items"][2]["id"].as_str().unwrap_or_default();
    let event = api.get(&format!("/events/{event}")).await?;
    ensure!(
        event["status"] == "received" && event["payload"]["n"].is_u64(),
        "{event}"
    );
    ensure!(receiver.count() == 0, "{} arrived", receiver.count());

    own.restart_processor().await?;
    pause(&api, &format!("/sources/{}", paused.id), false).await?;
    send(&api, &paused, FIRST..FIRST + LATER).await?;
    let count = FIRST + LATER;
    let done = |status: &Value| status["state"] == "receiving" && status["processed"] == count;
    let ended = status(&api, &paused, "all is processed", done).await;
    ended.map_err(|error| error.context(own.tails(30)))?;
    all_arrive(&receiver, count, 1).await
}

/// The deliveries to a destination that wait, once `wanted` holds for them.
async fn waiting(
    api: &Api,
    destination: &str,
    what: &str,
    wanted: impl Fn(&[Value]) -> bool,
) -> anyhow::Result<Vec<Value>> {
    let path = format!("/deliveries?destination={destination}&status=parked&limit=200");
    let look = || async {
        let listed = api.get(&path).await.ok()?["items"].as_array()?.clone();
        wanted(&listed).then_some(listed)
    };
    let error = match eventually(what, SOON, look).await {
        Ok(seen) => return Ok(seen),
        Err(error) => error,
    };
    let all = api
        .get(&format!("/deliveries?destination={destination}&limit=200"))
        .await?;
    let item = |item: &Value| format!("{} {} {}", item["id"], item["status"], item["lane_key"]);
    let items = all["items"].as_array().into_iter().flatten().map(item);
    Err(error.context(format!("deliveries: {}", items.collect::<Vec<_>>().join(", "))))
}

pub(crate) async fn a_paused_route_holds_and_goes_on_in_order_though_its_dispatcher_is_killed(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let mut own = stack.another(&[]).await?;
    let ended = hold_routes(&mut own).await;
    ended.map_err(|error| error.context(own.tails(30)))
}

async fn hold_routes(own: &mut Stack) -> anyhow::Result<()> {
    let api = own.api.clone();
    let (ordered, alone, others) = (Receiver::start()?, Receiver::start()?, Receiver::start()?);
    let source = source(
        &api,
        json!({"entity": {"type": unique("thing"), "unique_id": "$.id"}}),
    )
    .await?;
    let events = ["entity.created", "entity.updated"];
    let to = destination(&api, &ordered, json!({"ordering": "key"})).await?;
    let to_ordered = route(&api, &source, &to, &events).await?;
    let unordered = destination(&api, &alone, json!({"ordering": "none"})).await?;
    let to_alone = route(&api, &source, &unordered, &events).await?;
    let running = destination(&api, &others, json!({"ordering": "none"})).await?;
    route(&api, &source, &running, &events).await?;
    for id in [&to_ordered, &to_alone] {
        pause(&api, &format!("/routes/{id}"), true).await?;
    }
    api.in_force().await?;

    send(&api, &source, 0..FIRST).await?;
    others.wait_for(usize::try_from(FIRST)?, 2 * SOON).await?;
    let keys = usize::try_from(KEYS)?;
    waiting(&api, &to, "the heads are parked", |heads| heads.len() >= keys).await?;
    let lanes = api.get(&format!("/destinations/{to}/lanes")).await?;
    let lanes = lanes["items"].as_array().cloned().unwrap_or_default();
    ensure!(
        lanes.len() == keys && lanes.iter().all(|lane| lane["reason"] == "held"),
        "{lanes:?}"
    );
    let all = usize::try_from(FIRST)?;
    let parked = waiting(&api, &unordered, "all are parked", |parked| parked.len() == all).await?;
    own.restart_both_ends().await?;
    // One of them a person wants now, and one never.
    for (delivery, verb, status) in [(&parked[0], "retry", 202), (&parked[1], "cancel", 200)] {
        let path = format!(
            "/deliveries/{}/{verb}",
            delivery["id"].as_str().unwrap_or_default()
        );
        let done = || async {
            let answer = api.call("POST", &path, None).await.ok()?;
            (answer.status == status).then_some(())
        };
        eventually(&path, 2 * SOON, done).await?;
    }
    alone.wait_for(1, SOON).await?;
    send(&api, &source, FIRST..FIRST + LATER).await?;
    let count = FIRST + LATER;
    others.wait_for(usize::try_from(count)?, 2 * SOON).await?;
    ensure!(
        (ordered.count(), alone.count()) == (0, 1),
        "{} and {} arrived",
        ordered.count(),
        alone.count()
    );
    for id in [&to_ordered, &to_alone] {
        pause(&api, &format!("/routes/{id}"), false).await?;
    }
    all_arrive(&ordered, count, 1).await?;
    let wanted = usize::try_from(count)? - 1;
    let arrived = || async {
        let ids: BTreeSet<String> = alone
            .arrivals()
            .iter()
            .map(|arrival| arrival.header("webhook-id").to_owned())
            .collect();
        (ids.len() == wanted).then_some(())
    };
    eventually("all but the one that was called off arrives", 2 * SOON, arrived).await
}
