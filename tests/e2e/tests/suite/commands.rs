//! What a person does about deliveries that fail: retry, skip, cancel, and lanes that wait for them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use hookrail_harness::{Api, Receiver, Reply, Stack, eventually};
use serde_json::{Value, json};

use crate::fixtures::{SOON, Source, accepted, destination, route, source, text, unique};

/// A retry policy under which nothing that failed is sent again while a test runs.
fn never_again() -> Value {
    json!({"initial_ms": 3_600_000, "max_ms": 14_400_000})
}

/// A receiver that refuses for good, with 422, the payloads whose member `bad` is set, until the switch is on.
fn picky(on: &Arc<AtomicBool>) -> anyhow::Result<Receiver> {
    let on = Arc::clone(on);
    Receiver::with_script(move |arrival| {
        let bad = arrival.json()["data"]["bad"] == json!(true);
        Reply::status(if bad && !on.load(Ordering::SeqCst) {
            422
        } else {
            200
        })
    })
}

/// A receiver that is down, 503, until the switch is on.
fn down(on: &Arc<AtomicBool>) -> anyhow::Result<Receiver> {
    let on = Arc::clone(on);
    Receiver::with_script(move |_| Reply::status(if on.load(Ordering::SeqCst) { 200 } else { 503 }))
}

/// A source of entities, routed to a new destination for `receiver`; its id.
async fn flow(api: &Api, receiver: &Receiver, spec: Value) -> anyhow::Result<(Source, String)> {
    let kind = unique("thing");
    let source = source(api, json!({"entity": {"type": kind, "unique_id": "$.id"}})).await?;
    let destination = destination(api, receiver, spec).await?;
    route(api, &source, &destination, &["entity.created", "entity.updated"]).await?;
    Ok((source, destination))
}

/// Sends a payload and gives its delivery's id.
async fn delivery_of(api: &Api, source: &Source, payload: Value) -> anyhow::Result<String> {
    let event = accepted(api, source, &payload.to_string()).await?;
    eventually("the delivery is planned", SOON, || async {
        let event = api.get(&format!("/events/{event}")).await.ok()?;
        text(&event, "/deliveries/0/id").ok()
    })
    .await
}

async fn with_status(api: &Api, delivery: &str, status: &str) -> anyhow::Result<Value> {
    let path = format!("/deliveries/{delivery}");
    let look = || async {
        api.get(&path)
            .await
            .ok()
            .filter(|found| found["status"] == status)
    };
    let found = eventually(&format!("{delivery} is {status}"), SOON, look).await;
    match found {
        Ok(found) => Ok(found),
        Err(error) => Err(error.context(api.get(&path).await?.to_string())),
    }
}

/// The numbers `n` of the payloads that were taken, in order.
fn taken(receiver: &Receiver) -> Vec<i64> {
    let taken = receiver
        .arrivals()
        .into_iter()
        .filter(|arrival| arrival.answered < 300);
    taken
        .map(|arrival| arrival.json()["data"]["n"].as_i64().unwrap_or(-1))
        .collect()
}

async fn numbers_taken(receiver: &Receiver, expected: &[i64]) -> anyhow::Result<()> {
    let all = || async { (taken(receiver).len() >= expected.len()).then_some(()) };
    eventually("what waited arrives", SOON, all)
        .await
        .with_context(|| format!("{:?}", taken(receiver)))?;
    ensure!(taken(receiver) == expected, "{:?}", taken(receiver));
    Ok(())
}

async fn lanes(api: &Api, destination: &str) -> anyhow::Result<Vec<Value>> {
    let page = api
        .get(&format!("/destinations/{destination}/lanes?state=parked"))
        .await?;
    Ok(page["items"].as_array().cloned().unwrap_or_default())
}

/// Waits for the destination's one lane that waits for `reason` with `waiting` deliveries in it.
async fn lane(api: &Api, destination: &str, reason: &str, waiting: u64) -> anyhow::Result<Value> {
    let meant = |lane: &Value| lane["reason"] == reason && lane["waiting"] == waiting;
    let found = eventually(&format!("a lane of {waiting}, {reason}"), SOON, || async {
        lanes(api, destination)
            .await
            .ok()?
            .into_iter()
            .find(|lane| meant(lane))
    })
    .await;
    match found {
        Ok(found) => Ok(found),
        Err(error) => Err(error.context(format!("{:?}", lanes(api, destination).await))),
    }
}

async fn post(api: &Api, path: &str, status: u16) -> anyhow::Result<Value> {
    let answer = api.call("POST", path, None).await?;
    answer.expect(status).with_context(|| format!("POST {path}"))
}

/// Sends one that is refused and two behind it, and waits until its lane is held.
async fn held_lane(api: &Api, source: &Source, destination: &str) -> anyhow::Result<(Vec<String>, Value)> {
    let mut deliveries = Vec::new();
    for n in 0..3 {
        deliveries.push(delivery_of(api, source, json!({"id": 1, "n": n, "bad": n == 0})).await?);
    }
    let held = lane(api, destination, "held", 3).await?;
    ensure!(held["head"] == json!(deliveries[0]), "{held}");
    Ok((deliveries, held))
}

pub(crate) async fn a_held_lane_waits_for_a_person_and_others_do_not(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let (api, on) = (&stack.api, Arc::new(AtomicBool::new(false)));
    let receiver = picky(&on)?;
    let (source, destination) = flow(api, &receiver, json!({"ordering": "key", "on_dead": "hold"})).await?;
    let (deliveries, held) = held_lane(api, &source, &destination).await?;
    ensure!(
        held["key"].as_str().is_some_and(|key| key.ends_with(":1")) && held["next_at"].is_null(),
        "{held}"
    );
    accepted(api, &source, r#"{"id":2,"n":10}"#).await?;
    numbers_taken(&receiver, &[10]).await?;
    // Refused once more, it is held once more.
    let lane_id = text(&held, "/lane_id")?;
    let retry = format!("/destinations/{destination}/lanes/{lane_id}/retry");
    let before = receiver.count();
    let answer = post(api, &retry, 202).await?;
    ensure!(answer["delivery"] == json!(deliveries[0]), "{answer}");
    receiver.wait_for(before + 1, SOON).await?;
    lane(api, &destination, "held", 3).await?;
    on.store(true, Ordering::SeqCst);
    post(api, &retry, 202).await?;
    numbers_taken(&receiver, &[10, 0, 1, 2]).await?;
    with_status(api, &deliveries[2], "delivered").await?;
    ensure!(
        lanes(api, &destination).await?.is_empty(),
        "the lane is not parked any more"
    );
    post(api, &retry, 404).await?;
    Ok(())
}

pub(crate) async fn a_skipped_head_is_dead_and_can_be_sent_again(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, on) = (&stack.api, Arc::new(AtomicBool::new(false)));
    let receiver = picky(&on)?;
    let (source, destination) = flow(api, &receiver, json!({"ordering": "key", "on_dead": "hold"})).await?;
    let (deliveries, held) = held_lane(api, &source, &destination).await?;
    let skip = format!(
        "/destinations/{destination}/lanes/{}/skip",
        text(&held, "/lane_id")?
    );
    let other = json!({"delivery": deliveries[1]});
    let refused = api.call("POST", &skip, Some(&other)).await?.expect(409)?;
    ensure!(refused["code"] == "not-at-head", "{refused}");
    let head = json!({"delivery": deliveries[0]});
    let skipped = api.call("POST", &skip, Some(&head)).await?.expect(200)?;
    ensure!(skipped["delivery"] == json!(deliveries[0]), "{skipped}");
    numbers_taken(&receiver, &[1, 2]).await?;
    let dead = with_status(api, &deliveries[0], "dead").await?;
    ensure!(dead["attempts_made"] == 1, "{dead}");
    // The same skip once more hits nobody else.
    api.call("POST", &skip, Some(&head)).await?.expect(409)?;
    on.store(true, Ordering::SeqCst);
    let again = post(api, &format!("/deliveries/{}/retry", deliveries[0]), 202).await?;
    ensure!(again["status"] != "dead", "{again}");
    numbers_taken(&receiver, &[1, 2, 0]).await?;
    let delivered = with_status(api, &deliveries[0], "delivered").await?;
    ensure!(delivered["attempts_made"] == 2, "{delivered}");
    let arrivals = receiver.arrivals();
    let last = arrivals.last().context("it arrived")?;
    ensure!(
        last.header("hookrail-attempt") == "2" && last.header("hookrail-sequence").is_empty(),
        "{last:?}"
    );
    ensure!(last.header("webhook-id") == deliveries[0], "{last:?}");
    let refused = post(api, &format!("/deliveries/{}/retry", deliveries[0]), 409).await?;
    ensure!(refused["code"] == "delivery-delivered", "{refused}");
    Ok(())
}

pub(crate) async fn what_waits_is_sent_now_when_a_person_says_so(stack: Arc<Stack>) -> anyhow::Result<()> {
    for ordering in ["key", "none"] {
        let (api, on) = (&stack.api, Arc::new(AtomicBool::new(false)));
        let receiver = down(&on)?;
        let spec = json!({"ordering": ordering, "retry": never_again()});
        let (source, _) = flow(api, &receiver, spec).await?;
        let delivery = delivery_of(api, &source, json!({"id": 1, "n": 0})).await?;
        let parked = with_status(api, &delivery, "parked").await?;
        ensure!(parked["next_at"].is_string(), "{parked}");
        on.store(true, Ordering::SeqCst);
        post(api, &format!("/deliveries/{delivery}/retry"), 202).await?;
        numbers_taken(&receiver, &[0]).await.context(ordering)?;
        let delivered = with_status(api, &delivery, "delivered").await?;
        ensure!(delivered["attempts_made"] == 2, "{delivered}");
    }
    Ok(())
}

pub(crate) async fn what_is_cancelled_is_never_sent(stack: Arc<Stack>) -> anyhow::Result<()> {
    for ordering in ["key", "none"] {
        let (api, on) = (&stack.api, Arc::new(AtomicBool::new(false)));
        let receiver = down(&on)?;
        let spec =
            json!({"ordering": ordering, "retry": {"initial_ms": 4_000, "max_ms": 4_000, "jitter": 0.0}});
        let (source, _) = flow(api, &receiver, spec).await?;
        let mut deliveries = Vec::new();
        for n in 0..4 {
            deliveries.push(delivery_of(api, &source, json!({"id": 1, "n": n})).await?);
        }
        with_status(api, &deliveries[0], "parked").await?;
        // The head, one behind it, and for the unordered any.
        for cancelled in [2, 0] {
            let path = format!("/deliveries/{}/cancel", deliveries[cancelled]);
            for _ in 0..2 {
                let answer = post(api, &path, 200).await.context(ordering)?;
                ensure!(answer["status"] == "cancelled", "{answer}");
            }
        }
        if ordering == "key" {
            let refused = post(api, &format!("/deliveries/{}/retry", deliveries[3]), 409).await?;
            ensure!(refused["code"] == "not-at-head", "{refused}");
        }
        let refused = post(api, &format!("/deliveries/{}/retry", deliveries[0]), 409).await?;
        ensure!(refused["code"] == "delivery-cancelled", "{refused}");
        on.store(true, Ordering::SeqCst);
        for delivery in [&deliveries[1], &deliveries[3]] {
            with_status(api, delivery, "delivered").await.context(ordering)?;
        }
        let numbers: BTreeSet<i64> = taken(&receiver).into_iter().collect();
        ensure!(numbers == [1, 3].into(), "{ordering}: {numbers:?}");
        let refused = post(api, &format!("/deliveries/{}/cancel", deliveries[1]), 409).await?;
        ensure!(refused["code"] == "delivery-delivered", "{refused}");
    }
    for (path, status) in [
        ("/deliveries/dlv_00000000000000000000000000/retry", 404),
        ("/deliveries/x/cancel", 404),
        ("/destinations/dst_00000000000000000000000000/lanes", 404),
    ] {
        let method = if path.ends_with("lanes") { "GET" } else { "POST" };
        stack.api.call(method, path, None).await?.expect(status)?;
    }
    Ok(())
}

pub(crate) async fn a_rate_limit_is_kept(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver, count) = (&stack.api, Receiver::start()?, 16);
    let spec = json!({"rate_limit": {"per_second": 5, "burst": 2}});
    let (source, _) = flow(api, &receiver, spec).await?;
    for n in 0..count {
        accepted(api, &source, &format!(r#"{{"id":{n},"n":{n}}}"#)).await?;
    }
    let arrivals = receiver.wait_for(count, SOON).await?;
    let took = arrivals[count - 1].at - arrivals[0].at;
    // Two at once, then 14 at 5 a second: 2.8 s, less what the clock and the way add to the first.
    ensure!(took >= Duration::from_millis(2_500), "{count} in {took:?}");
    ensure!(took <= Duration::from_secs(10), "{count} in {took:?}");
    Ok(())
}

pub(crate) async fn a_spread_destination_keeps_its_order_and_lists_all_its_lanes(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    const KEYS: i64 = 30;
    let (api, on) = (&stack.api, Arc::new(AtomicBool::new(false)));
    let receiver = down(&on)?;
    let retry = json!({"initial_ms": 1_000, "multiplier": 1.0, "max_ms": 1_000});
    let spec = json!({"ordering": "key", "spread": 8, "retry": retry});
    let (source, destination) = flow(api, &receiver, spec).await?;
    for n in 0..3 {
        for id in 0..KEYS {
            accepted(api, &source, &format!(r#"{{"id":{id},"n":{n}}}"#)).await?;
        }
    }
    let all = || async { (lanes(api, &destination).await.ok()?.len() == KEYS as usize).then_some(()) };
    eventually("all lanes are parked", SOON, all).await?;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api
            .get(&format!(
                "/destinations/{destination}/lanes?state=parked&limit=7{cursor}"
            ))
            .await?;
        seen.extend(
            page["items"]
                .as_array()
                .context("items")?
                .iter()
                .map(|lane| lane["lane_id"].to_string()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ensure!(
        seen.len() == KEYS as usize && seen.is_sorted(),
        "{} lanes: {seen:?}",
        seen.len()
    );
    // What its lanes are can't be changed now.
    for change in [json!({"spread": 2}), json!({"ordering": "destination"})] {
        let path = format!("/destinations/{destination}");
        let refused = api.call("PATCH", &path, Some(&change)).await?.expect(409)?;
        ensure!(refused["code"] == "pending-deliveries", "{refused}");
    }
    on.store(true, Ordering::SeqCst);
    let enough = || async { (taken(&receiver).len() >= 3 * KEYS as usize).then_some(()) };
    eventually("all arrive", 60, enough).await?;
    for id in 0..KEYS {
        let of_key = receiver.arrivals().into_iter().filter(|a| a.answered < 300);
        let data = of_key
            .map(|a| a.json()["data"].clone())
            .filter(|data| data["id"] == id);
        let numbers: Vec<i64> = data.filter_map(|data| data["n"].as_i64()).collect();
        ensure!(numbers == [0, 1, 2], "key {id}: {numbers:?}");
    }
    let settled = || async {
        let path = format!("/destinations/{destination}");
        let change = json!({"spread": 2});
        api.call("PATCH", &path, Some(&change))
            .await
            .ok()?
            .expect(200)
            .ok()
    };
    eventually("the spread can be changed", SOON, settled).await?;
    let refused = api
        .call(
            "PATCH",
            &format!("/destinations/{destination}"),
            Some(&json!({"spread": 64})),
        )
        .await?
        .expect(422)?;
    ensure!(refused["errors"][0]["pointer"] == "/spread", "{refused}");
    Ok(())
}

/// Of an installation of its own, since it is killed.
pub(crate) async fn a_held_lane_survives_a_restart(stack: Arc<Stack>) -> anyhow::Result<()> {
    let mut own = match stack.kind {
        "hookrail up" => Stack::up().await?,
        _ => {
            let url = hookrail_harness::create_database("hookrail_e2e_restart")?;
            Stack::four(url.context("the four services run on PostgreSQL")?).await?
        }
    };
    let on = Arc::new(AtomicBool::new(false));
    let (receiver, api) = (picky(&on)?, own.api.clone());
    let spec = json!({"ordering": "key", "on_dead": "hold", "timeout_ms": 1_000});
    let (source, destination) = flow(&api, &receiver, spec).await?;
    let (deliveries, _) = held_lane(&api, &source, &destination).await?;
    let attempts = receiver.count();
    if own.kind == "hookrail up" {
        own.kill("up");
        own.start_up().await?;
    } else {
        own.kill("dispatcher");
        let path = format!("/destinations/{destination}/lanes");
        let refused = api.call("GET", &path, None).await?;
        ensure!(
            refused.status == 503 && !refused.header("retry-after").is_empty(),
            "{refused:?}"
        );
        own.start_service(hookrail_harness::Service::Dispatcher)?;
        own.wait_ready().await?;
    }
    let answered = || async {
        lanes(&api, &destination)
            .await
            .ok()
            .filter(|lanes| !lanes.is_empty())
    };
    eventually("a new owner answers", 60, answered).await?;
    let held = lane(&api, &destination, "held", 3).await?;
    ensure!(held["head"] == json!(deliveries[0]), "{held}");
    ensure!(
        receiver.count() == attempts,
        "a held head was sent again by itself"
    );
    on.store(true, Ordering::SeqCst);
    let retry = format!(
        "/destinations/{destination}/lanes/{}/retry",
        text(&held, "/lane_id")?
    );
    post(&api, &retry, 202).await?;
    numbers_taken(&receiver, &[0, 1, 2]).await
}
