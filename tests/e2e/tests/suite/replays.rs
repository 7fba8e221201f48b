//! Replays: what died, failed or was sent is sent again, once, in order, and past crashes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use hookrail_harness::{Api, Arrival, Receiver, Reply, Stack, eventually};
use serde_json::{Value, json};

use crate::fixtures::{
    SOON, Source, accepted, destination, entity, route, settled_event, source, text, unique,
};

/// Webhooks sent at once.
const SENDERS: usize = 16;
/// How long many deliveries may take to die, or to be sent again, seconds.
const MANY_SOON: u64 = 90;

/// A destination whose deliveries all died, and whose receiver has recovered.
pub(crate) struct Died {
    pub(crate) receiver: Receiver,
    pub(crate) on: Arc<AtomicBool>,
    pub(crate) source: Source,
    pub(crate) destination: String,
}

impl Died {
    /// `count` deliveries over `keys` lanes that a receiver refuses for good until it is on.
    pub(crate) async fn make(api: &Api, spec: Value, count: u64, keys: u64) -> anyhow::Result<Self> {
        let on = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&on);
        let status = move || if switch.load(Ordering::SeqCst) { 200 } else { 422 };
        let receiver = Receiver::with_script(move |_| Reply::status(status()))?;
        let kind = unique("thing");
        let source = source(api, json!({"entity": {"type": kind, "unique_id": "$.id"}})).await?;
        let destination = destination(api, &receiver, spec).await?;
        route(api, &source, &destination, &["entity.created", "entity.updated"]).await?;
        let died = Self {
            receiver,
            on,
            source,
            destination,
        };
        died.send(api, count, keys).await?;
        died.all_dead(api, count).await?;
        Ok(died)
    }

    async fn send(&self, api: &Api, count: u64, keys: u64) -> anyhow::Result<()> {
        let source = &self.source;
        let of_key = |key: u64| async move {
            for n in (0..count).filter(|n| n % keys == key) {
                accepted(api, source, &format!(r#"{{"id":{key},"n":{n}}}"#)).await?;
            }
            anyhow::Ok(())
        };
        futures::stream::iter(0..keys)
            .map(of_key)
            .buffer_unordered(SENDERS)
            .try_collect()
            .await
    }

    pub(crate) async fn all_dead(&self, api: &Api, count: u64) -> anyhow::Result<()> {
        let died = || async { (self.dry_run(api).await.ok()? == count).then_some(()) };
        eventually(&format!("{count} deliveries are dead"), MANY_SOON, died).await
    }

    fn request(&self) -> Value {
        json!({"what": "deliveries", "filter": {"destination": self.destination}})
    }

    /// How many a replay would send.
    pub(crate) async fn dry_run(&self, api: &Api) -> anyhow::Result<u64> {
        let mut request = self.request();
        request["dry_run"] = json!(true);
        let counted = api.call("POST", "/replays", Some(&request)).await?.expect(200)?;
        counted["count"].as_u64().context("a dry run counts")
    }

    /// What arrived since the receiver is on, in order.
    fn taken(&self) -> Vec<Arrival> {
        let taken = self.receiver.arrivals().into_iter();
        taken.filter(|arrival| arrival.answered == 200).collect()
    }

    /// The receiver recovers, and all that died is sent again.
    pub(crate) async fn replay(&self, api: &Api) -> anyhow::Result<String> {
        self.on.store(true, Ordering::SeqCst);
        replay(api, &self.request()).await
    }
}

/// Asks for a replay; gives its id.
async fn replay(api: &Api, request: &Value) -> anyhow::Result<String> {
    let answer = api.call("POST", "/replays", Some(request)).await?;
    let location = answer.header("location").to_owned();
    let id = text(&answer.expect(202)?, "/id")?;
    ensure!(location == format!("/api/v1/replays/{id}"), "{location}");
    Ok(id)
}

/// Waits until a replay has ended well; gives it.
async fn done(api: &Api, id: &str) -> anyhow::Result<Value> {
    let look = || async {
        let found = api.get(&format!("/replays/{id}")).await.ok()?;
        (!["queued", "running"].contains(&found["status"].as_str()?)).then_some(found)
    };
    let ended = eventually(&format!("replay {id} ends"), MANY_SOON, look).await?;
    ensure!(ended["status"] == "done", "{ended}");
    Ok(ended)
}

/// Each of `count` arrived once, those of a key in the order sent. A copy that a crash made has the same
/// `webhook-id`, and counts once where `copies` are allowed.
fn check_once_in_order(arrivals: &[Arrival], count: u64, copies: bool) -> anyhow::Result<()> {
    let (mut ids, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    let mut by_key: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for arrival in arrivals {
        if !ids.insert(arrival.header("webhook-id").to_owned()) {
            ensure!(copies, "{} came twice", arrival.header("webhook-id"));
            continue;
        }
        let data = arrival.json()["data"].clone();
        let number = |name: &str| data[name].as_u64().context("a number");
        let (key, n) = (number("id")?, number("n")?);
        ensure!(numbers.insert(n), "{n} came twice as two deliveries");
        by_key.entry(key).or_default().push(n);
    }
    ensure!(
        numbers.len() as u64 == count,
        "{} of {count} arrived",
        numbers.len()
    );
    for (key, numbers) in by_key {
        ensure!(numbers.is_sorted(), "key {key}: {numbers:?}");
    }
    Ok(())
}

pub(crate) async fn dead_ordered_deliveries_are_sent_once_more_and_in_order(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let (api, count) = (&stack.api, 500);
    let died = Died::make(api, json!({"ordering": "key"}), count, 20).await?;
    let id = died.replay(api).await?;
    let ended = done(api, &id).await?;
    let progress = &ended["progress"];
    ensure!(
        (&progress["total"], &progress["replayed"], &progress["skipped"])
            == (&json!(count), &json!(count), &json!(0)),
        "{ended}"
    );
    let all = || async { (died.taken().len() as u64 >= count).then_some(()) };
    eventually("all arrive", MANY_SOON, all).await?;
    let taken = died.taken();
    check_once_in_order(&taken, count, false)?;
    for arrival in &taken {
        ensure!(arrival.header("hookrail-replay") == id, "{:?}", arrival.headers);
        ensure!(
            arrival.header("hookrail-sequence").is_empty(),
            "{:?}",
            arrival.headers
        );
    }
    ensure!(
        died.dry_run(api).await? == 0,
        "what was sent again is not dead to be sent"
    );
    shows_what_became_of_it(api, &died, &taken[0], &id).await
}

/// The dead delivery names the one that it was sent again as, and that one its replay.
async fn shows_what_became_of_it(
    api: &Api,
    died: &Died,
    again: &Arrival,
    replay: &str,
) -> anyhow::Result<()> {
    let again = again.header("webhook-id");
    let delivered = || async {
        let found = api.get(&format!("/deliveries/{again}")).await.ok()?;
        (found["status"] == "delivered").then_some(found)
    };
    let found = eventually("the replayed delivery is shown", SOON, delivered).await?;
    ensure!(
        found["replay"] == replay && found["sequence"].is_null(),
        "{found}"
    );
    let path = format!(
        "/deliveries?destination={}&status=dead&event={}",
        died.destination,
        text(&found, "/event")?
    );
    let dead = api.get(&path).await?;
    ensure!(
        dead["items"][0]["replayed_as"] == again && dead["items"][0]["replayed_by"] == replay,
        "{dead}"
    );
    let listed = api.get("/replays?limit=200").await?;
    let listed = listed["items"].as_array().context("a list")?.iter();
    ensure!(
        listed.filter(|item| item["id"] == replay).count() == 1,
        "it stays visible"
    );
    Ok(())
}

pub(crate) async fn a_replay_goes_on_after_its_worker_was_killed(stack: Arc<Stack>) -> anyhow::Result<()> {
    let mut own = stack.another(&[]).await?;
    let (api, count) = (own.api.clone(), 1_000);
    let died = Died::make(&api, json!({"ordering": "key"}), count, 20).await?;
    let id = died.replay(&api).await?;
    let halfway = || async {
        let found = api.get(&format!("/replays/{id}")).await.ok()?;
        (found["progress"]["replayed"].as_u64()? >= count / 4).then_some(found)
    };
    let found = eventually("a quarter is sent again", MANY_SOON, halfway).await?;
    ensure!(found["status"] == "running", "killed too late: {found}");
    own.restart_processor().await?;
    let ended = done(&api, &id)
        .await
        .map_err(|error| error.context(own.tails(30)))?;
    ensure!(ended["progress"]["replayed"] == json!(count), "{ended}");
    let unique = || {
        died.taken()
            .iter()
            .map(|a| a.header("webhook-id").to_owned())
            .collect::<BTreeSet<_>>()
    };
    let all = || async { (unique().len() as u64 >= count).then_some(()) };
    eventually("all arrive", MANY_SOON, all).await?;
    // Where the sender was killed too, it may repeat the last of each lane.
    check_once_in_order(&died.taken(), count, own.nats.is_none())
}

pub(crate) async fn failed_events_are_mended_after_the_mapping_was_corrected(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let (api, receiver, count) = (&stack.api, Receiver::start()?, 30);
    let kind = unique("thing");
    let rules = |path: &str| json!({"type": kind, "unique_id": path, "fields": {"n": "$.n"}});
    let source = source(
        api,
        json!({"ordering": {"mode": "key", "key": {"path": "$.id"}}, "entity": rules("$.ident")}),
    )
    .await?;
    let destination = destination(api, &receiver, json!({"ordering": "key"})).await?;
    route(api, &source, &destination, &["entity.created", "entity.updated"]).await?;
    let mut events = Vec::new();
    for n in 0..count {
        events.push(accepted(api, &source, &format!(r#"{{"id":{},"n":{n}}}"#, n % 10)).await?);
    }
    for event in &events {
        let event = settled_event(api, event).await?;
        ensure!(event["status"] == "failed", "{event}");
    }
    let patch = json!({"entity": rules("$.id")});
    api.call("PATCH", &format!("/sources/{}", source.id), Some(&patch))
        .await?
        .expect(200)?;
    api.in_force().await?;
    let newest = accepted(api, &source, r#"{"id":0,"n":1000}"#).await?;
    ensure!(
        settled_event(api, &newest).await?["status"] == "processed",
        "the mapping is corrected"
    );
    let request = json!({"what": "events", "filter": {"source": source.id, "status": "failed"}});
    let ended = done(api, &replay(api, &request).await?).await?;
    ensure!(ended["progress"]["replayed"] == json!(count), "{ended}");
    for event in &events {
        let event = api.get(&format!("/events/{event}")).await?;
        ensure!(
            event["status"] == "processed" && event["error"].is_null(),
            "{event}"
        );
    }
    counters_add_up(api, &source, count + 1).await?;
    let mended = entity(api, &kind, "3").await?;
    ensure!(
        mended["data"]["n"] == json!(23),
        "the last of the key counts: {mended}"
    );
    let newer = entity(api, &kind, "0").await?;
    ensure!(
        newer["data"]["n"] == json!(1000),
        "an entity gets no older: {newer}"
    );
    // The newest one, and what was mended of the nine other keys.
    let arrivals = receiver.wait_for(1 + 27, SOON).await?;
    let mut by_key: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for arrival in arrivals {
        let data = arrival.json()["data"].clone();
        let number = |name: &str| data[name].as_u64().unwrap_or(u64::MAX);
        by_key.entry(number("id")).or_default().push(number("n"));
    }
    ensure!(
        by_key[&0] == [1000] && by_key.values().all(|numbers| numbers.is_sorted()),
        "{by_key:?}"
    );
    Ok(())
}

async fn counters_add_up(api: &Api, source: &Source, received: u64) -> anyhow::Result<()> {
    let status = api.get(&format!("/sources/{}/status", source.id)).await?;
    let number = |name: &str| status[name].as_u64().unwrap_or(u64::MAX);
    let names = ["processed", "filtered", "failed", "duplicate", "queued"];
    let sum: u64 = names.iter().map(|name| number(name)).sum();
    ensure!(number("received") == received && sum == received, "{status}");
    ensure!(
        number("processed") == received && number("failed") == 0,
        "{status}"
    );
    Ok(())
}

pub(crate) async fn a_past_delivery_is_sent_again_by_its_id(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let source = source(api, json!({})).await?;
    let destination = destination(api, &receiver, json!({})).await?;
    route(api, &source, &destination, &["webhook.received"]).await?;
    let event = accepted(api, &source, r#"{"price":1.10}"#).await?;
    let first = receiver.wait_for(1, SOON).await?.remove(0);
    let id = first.header("webhook-id").to_owned();
    let delivered = || async {
        let found = api.get(&format!("/deliveries/{id}")).await.ok()?;
        (found["status"] == "delivered").then_some(())
    };
    eventually("it is delivered", SOON, delivered).await?;
    done(
        api,
        &replay(api, &json!({"what": "deliveries", "ids": [id]})).await?,
    )
    .await?;
    let second = receiver.wait_for(2, SOON).await?.remove(1);
    ensure!(
        second.body == first.body,
        "{} is not {}",
        second.text(),
        first.text()
    );
    ensure!(second.header("webhook-id") != id, "it is a delivery of its own");
    done(
        api,
        &replay(api, &json!({"what": "events", "ids": [event]})).await?,
    )
    .await?;
    let third = receiver.wait_for(3, SOON).await?.remove(2);
    ensure!(
        third.body == first.body,
        "{} is not {}",
        third.text(),
        first.text()
    );
    counters_add_up(api, &source, 1).await
}

pub(crate) async fn a_replay_stops_when_it_is_cancelled(stack: Arc<Stack>) -> anyhow::Result<()> {
    let own = stack
        .another(&[("HOOKRAIL_PROCESSOR_REPLAY_PER_SECOND", "50")])
        .await?;
    let (api, count) = (&own.api, 300);
    let died = Died::make(api, json!({}), count, 20).await?;
    let id = died.replay(api).await?;
    let begun = || async { (died.taken().len() >= 10).then_some(()) };
    eventually("it has begun", SOON, begun).await?;
    let cancelled = api
        .call("POST", &format!("/replays/{id}/cancel"), None)
        .await?
        .expect(200)?;
    ensure!(cancelled["status"] == "cancelled", "{cancelled}");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let arrived = died.taken().len();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    ensure!(
        died.taken().len() == arrived && (arrived as u64) < count,
        "{arrived}, then {}",
        died.taken().len()
    );
    let found = api.get(&format!("/replays/{id}")).await?;
    ensure!(
        found["status"] == "cancelled" && found["progress"]["replayed"] == json!(arrived),
        "{found}"
    );
    let left = died.dry_run(api).await?;
    ensure!(left == count - arrived as u64, "{left} are left");
    // What is left can be asked for again.
    done(api, &died.replay(api).await?).await?;
    let all = || async { (died.taken().len() as u64 >= count).then_some(()) };
    eventually("all arrive", MANY_SOON, all).await?;
    let again = api.call("POST", &format!("/replays/{id}/cancel"), None).await?;
    again.expect(200)?;
    Ok(())
}

pub(crate) async fn replays_that_can_not_be_meant_are_refused_by_field(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let api = &stack.api;
    for (body, pointer) in [
        (json!({}), "/what"),
        (json!({"what": "syncs"}), "/what"),
        (json!({"what": "events"}), "/filter"),
        (
            json!({"what": "deliveries", "filter": {"destnation": "x"}}),
            "/filter/destnation",
        ),
        (
            json!({"what": "deliveries", "filter": {"destination": "crm"}}),
            "/filter/destination",
        ),
        (
            json!({"what": "deliveries", "filter": {"destination": "dst_01ARZ3NDEKTSV4RRFFQ69G5FAV"}}),
            "/filter/destination",
        ),
        (
            json!({"what": "events", "filter": {"source": "src_01ARZ3NDEKTSV4RRFFQ69G5FAV"}}),
            "/filter/source",
        ),
        (
            json!({"what": "deliveries", "filter": {"status": "parked"}}),
            "/filter/status",
        ),
        (
            json!({"what": "deliveries", "filter": {"until": "soon"}}),
            "/filter/until",
        ),
        (
            json!({"what": "deliveries", "ids": ["dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]}),
            "/ids/0",
        ),
        (json!({"what": "deliveries", "ids": []}), "/ids"),
    ] {
        let problem = api.call("POST", "/replays", Some(&body)).await?.expect(422)?;
        ensure!(problem["errors"][0]["pointer"] == pointer, "{body}: {problem}");
    }
    // Other scenarios make replays meanwhile; none has what was tried here.
    let listed = api.get("/replays?limit=200").await?;
    for replay in listed["items"].as_array().into_iter().flatten() {
        let filter = replay["filter"].to_string();
        let tried = ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "parked", "soon", "destnation"];
        ensure!(
            !tried.iter().any(|tried| filter.contains(tried)),
            "stored: {replay}"
        );
    }
    let missing = "/replays/rpl_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    api.call("GET", missing, None).await?.expect(404)?;
    api.call("POST", &format!("{missing}/cancel"), None)
        .await?
        .expect(404)?;
    Ok(())
}
