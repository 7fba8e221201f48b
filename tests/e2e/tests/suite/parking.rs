//! Deliveries that can't be sent are put aside: they hold up nobody, and none of them is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _};
use hookrail_harness::{Api, Receiver, Reply, Stack, eventually};
use serde_json::{Value, json};

use crate::fixtures::{SOON, Source, accepted, destination, route, source, unique};

/// More than the owner of a partition holds unacknowledged.
const MANY: u64 = 1_200;
/// Keys of the deliveries that fail.
const KEYS: u64 = 40;
/// Webhooks sent at once.
const SENDERS: usize = 16;
/// Healthy destinations beside the one that fails.
const OTHERS: usize = 12;
/// Deliveries that each of them gets meanwhile, one after another.
const ROUNDS: usize = 10;
/// How long all that was put aside may take to arrive, seconds.
const CATCH_UP: u64 = 180;

/// A receiver that refuses with 503 until the switch is on.
fn switched(on: &Arc<AtomicBool>) -> anyhow::Result<Receiver> {
    let on = Arc::clone(on);
    Receiver::with_script(move |_| Reply::status(if on.load(Ordering::SeqCst) { 200 } else { 503 }))
}

fn retry() -> Value {
    json!({"initial_ms": 500, "multiplier": 1.5, "max_ms": 2000, "jitter": 0.2})
}

/// The bodies of all deliveries that were accepted, in the order of arrival, as (key, number).
fn taken(receiver: &Receiver) -> Vec<(u64, u64)> {
    let taken = receiver
        .arrivals()
        .into_iter()
        .filter(|arrival| arrival.answered < 300);
    let number = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
    taken
        .map(|arrival| arrival.json()["data"].clone())
        .map(|data| (number(&data["id"]), number(&data["n"])))
        .collect()
}

/// Sends webhooks `0..count`: those of a key after one another, `keys` of them spread over senders.
async fn send_all(api: &Api, source: &Source, count: u64, keys: u64) -> anyhow::Result<()> {
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

/// Exactly `count` arrived, each once, those of a key in the order sent.
fn check_all(receiver: &Receiver, count: u64) -> anyhow::Result<()> {
    let taken = taken(receiver);
    let all: BTreeSet<u64> = taken.iter().map(|(_, n)| *n).collect();
    ensure!(all == (0..count).collect(), "{} of {count} arrived", all.len());
    ensure!(taken.len() as u64 == count, "{} arrivals of {count}", taken.len());
    let mut by_key: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (key, n) in taken {
        by_key.entry(key).or_default().push(n);
    }
    for (key, numbers) in by_key {
        ensure!(numbers.is_sorted(), "key {key}: {numbers:?}");
    }
    Ok(())
}

/// All of `count` deliveries are accepted by the receiver within [`CATCH_UP`].
async fn all_taken(stack: &Stack, receiver: &Receiver, count: u64) -> anyhow::Result<()> {
    let enough = || async { (taken(receiver).len() as u64 >= count).then_some(()) };
    let found = eventually(&format!("{count} deliveries are taken"), CATCH_UP, enough).await;
    found.map_err(|error| error.context(format!("{} were\n{}", taken(receiver).len(), stack.tails(30))))
}

/// Sends to others while one destination can't take anything: they must not notice. They are so many
/// that some share its partition.
async fn others_are_prompt(stack: &Stack, ordering: &str) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let kind = unique("thing");
    let source = source(api, json!({"entity": {"type": kind, "unique_id": "$.id"}})).await?;
    for _ in 0..OTHERS {
        let destination = destination(api, &receiver, json!({"ordering": ordering})).await?;
        route(api, &source, &destination, &["entity.created", "entity.updated"]).await?;
    }
    api.in_force().await?;
    for n in 1..=ROUNDS {
        accepted(api, &source, &format!(r#"{{"id":{n},"n":{n}}}"#)).await?;
        let arrived = receiver.wait_for(n * OTHERS, SOON).await;
        arrived.map_err(|error| error.context(stack.tails(30)))?;
    }
    Ok(())
}

async fn a_dead_destination(stack: &Stack, ordering: &str) -> anyhow::Result<()> {
    let api = &stack.api;
    let on = Arc::new(AtomicBool::new(false));
    let receiver = switched(&on)?;
    let kind = unique("thing");
    let source = source(api, json!({"entity": {"type": kind, "unique_id": "$.id"}})).await?;
    let failing = destination(api, &receiver, json!({"ordering": ordering, "retry": retry()})).await?;
    route(api, &source, &failing, &["entity.created", "entity.updated"]).await?;
    send_all(api, &source, MANY, KEYS).await?;
    others_are_prompt(stack, ordering).await?;
    ensure!(
        taken(&receiver).is_empty(),
        "the failing destination took something"
    );
    on.store(true, Ordering::SeqCst);
    all_taken(stack, &receiver, MANY).await?;
    if ordering == "none" {
        let all: BTreeSet<u64> = taken(&receiver).iter().map(|(_, n)| *n).collect();
        ensure!(all == (0..MANY).collect(), "{} of {MANY}", all.len());
        return Ok(());
    }
    check_all(&receiver, MANY)
}

pub(crate) async fn a_failing_destination_holds_up_no_other_and_loses_nothing(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    a_dead_destination(&stack, "key").await
}

pub(crate) async fn unordered_deliveries_wait_for_a_dead_destination_too(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    a_dead_destination(&stack, "none").await
}

pub(crate) async fn deliveries_of_a_disabled_destination_wait(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver, count) = (&stack.api, Receiver::start()?, 200);
    let kind = unique("thing");
    let source = source(api, json!({"entity": {"type": kind, "unique_id": "$.id"}})).await?;
    let disabled = destination(api, &receiver, json!({"ordering": "key", "enabled": false})).await?;
    route(api, &source, &disabled, &["entity.created", "entity.updated"]).await?;
    send_all(api, &source, count, 10).await?;
    others_are_prompt(&stack, "key").await?;
    ensure!(
        receiver.count() == 0,
        "{} arrived at a disabled destination",
        receiver.count()
    );
    let enable = json!({"enabled": true});
    api.call("PATCH", &format!("/destinations/{disabled}"), Some(&enable))
        .await?
        .expect(200)?;
    all_taken(&stack, &receiver, count).await?;
    check_all(&receiver, count)
}
