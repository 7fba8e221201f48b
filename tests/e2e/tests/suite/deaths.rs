//! What dies is told, kept for its time, and bounded.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use hookrail_harness::{Api, Receiver, Reply, Stack, eventually};
use serde_json::{Value, json};

use crate::{
    fixtures::{SOON, accepted, destination, route, source, unique},
    replays::Died,
};

pub(crate) async fn a_death_is_told_once_and_never_of_what_tells_it(stack: Arc<Stack>) -> anyhow::Result<()> {
    let own = stack.another(&[]).await?;
    let api = &own.api;
    let told = Receiver::start()?;
    let dead_too = Receiver::with_script(|_| Reply::status(422))?;
    destination(api, &told, json!({"events": ["delivery.dead"]})).await?;
    let teller = destination(api, &dead_too, json!({"events": ["delivery.dead"]})).await?;
    let died = Died::make(api, json!({"ordering": "key"}), 7, 2).await?;
    let arrivals = told.wait_for(7, SOON).await?;
    for arrival in &arrivals {
        let body = arrival.json();
        let data = &body["data"];
        ensure!(body["event_type"] == "delivery.dead", "{body}");
        ensure!(
            data["destination"] == died.destination && data["error"]["code"] == "status",
            "{body}"
        );
        ensure!(
            data["attempts"] == 1 && data["event_type"].as_str().is_some(),
            "{body}"
        );
        let delivery = data["delivery"].as_str().context("a delivery")?;
        let dead = api.get(&format!("/deliveries/{delivery}")).await?;
        ensure!(
            dead["status"] == "dead" && dead["event"] == data["event"],
            "{dead}"
        );
    }
    let all_died = || async {
        let found = api
            .get(&format!("/deliveries?destination={teller}&status=dead"))
            .await
            .ok()?;
        (found["items"].as_array()?.len() == 7).then_some(())
    };
    eventually("what tells of the deaths has died too", SOON, all_died).await?;
    // Were these told of, it would be by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    ensure!(
        (told.count(), dead_too.count()) == (7, 7),
        "{} and {}",
        told.count(),
        dead_too.count()
    );
    Ok(())
}

pub(crate) async fn a_receiver_that_is_gone_is_told_of(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, told) = (&stack.api, Receiver::start()?);
    let subscriber = destination(api, &told, json!({"events": ["destination.disabled"]})).await?;
    let gone = Receiver::with_script(|_| Reply::status(410))?;
    let source = source(api, json!({})).await?;
    let disabled = destination(api, &gone, json!({})).await?;
    route(api, &source, &disabled, &["webhook.received"]).await?;
    accepted(api, &source, r#"{"n":1}"#).await?;
    let of_this = || async {
        let arrivals = told.arrivals();
        arrivals
            .into_iter()
            .find(|arrival| arrival.json()["data"]["destination"] == disabled)
    };
    let arrival = eventually("it is told", SOON, of_this).await?;
    let body = arrival.json();
    ensure!(
        body["event_type"] == "destination.disabled" && body["data"]["reason"] == "gone",
        "{body}"
    );
    let shown = api.get(&format!("/destinations/{disabled}")).await?;
    ensure!(shown["enabled"] == false, "{shown}");
    api.call("DELETE", &format!("/destinations/{subscriber}"), None)
        .await?
        .expect(204)?;
    Ok(())
}

pub(crate) async fn dead_letters_go_when_their_time_is_up(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let kept = Died::make(api, json!({"ordering": "key"}), 3, 3).await?;
    let short = Died::make(api, json!({"ordering": "key", "dead_retention_s": 1}), 3, 3).await?;
    // Looked through every few seconds.
    tokio::time::sleep(Duration::from_secs(8)).await;
    for (died, replayed, gone) in [(&short, 0, 3), (&kept, 3, 0)] {
        let id = died.replay(api).await?;
        let ended = || async {
            let found = api.get(&format!("/replays/{id}")).await.ok()?;
            (found["status"] == "done").then_some(found)
        };
        let ended = eventually("the replay ends", SOON, ended).await?;
        let progress = &ended["progress"];
        let reason = progress["reasons"]["body_gone"].as_u64().unwrap_or_default();
        ensure!(progress["replayed"] == replayed && reason == gone, "{ended}");
    }
    Ok(())
}

/// The dead deliveries of a destination that was told to be over its quota, once they get no more.
async fn all_that_die(api: &Api, destination: &str, told: &Receiver) -> anyhow::Result<Vec<Value>> {
    let path = format!("/deliveries?destination={destination}&status=dead&limit=200");
    let dead = || async { api.get(&path).await.ok()?["items"].as_array().cloned() };
    let settled = || async {
        let before = dead().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = dead().await?;
        (told.count() > 0 && !now.is_empty() && before.len() == now.len()).then_some(now)
    };
    eventually("what finds no room is dead", SOON * 2, settled).await
}

/// Bodies so large that few of them are a hundredth of a stream.
const LARGE: usize = 700_000;

pub(crate) async fn a_destination_that_fills_its_share_loses_nothing_of_others(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let own = stack
        .another(&[("HOOKRAIL_DISPATCHER_PARKED_PERCENT", "1")])
        .await?;
    let (api, told, receiver, count) = (&own.api, Receiver::start()?, Receiver::start()?, 24);
    destination(api, &told, json!({"events": ["destination.over_quota"]})).await?;
    let kind = unique("thing");
    let source = source(api, json!({"entity": {"type": kind, "unique_id": "$.id"}})).await?;
    let waits = destination(api, &receiver, json!({"ordering": "key", "enabled": false})).await?;
    route(api, &source, &waits, &["entity.created"]).await?;
    for n in 0..count {
        let body = format!(r#"{{"id":{n},"text":"{}"}}"#, "x".repeat(LARGE));
        accepted(api, &source, &body).await?;
    }
    let dead = all_that_die(api, &waits, &told).await?;
    ensure!(
        dead.iter()
            .all(|delivery| delivery["error"]["code"] == "over_quota"),
        "{dead:?}"
    );
    ensure!(told.count() == 1, "told {} times", told.count());
    ensure!(
        told.arrivals()[0].json()["data"]["destination"] == waits,
        "of another one"
    );
    let enable = json!({"enabled": true});
    api.call("PATCH", &format!("/destinations/{waits}"), Some(&enable))
        .await?
        .expect(200)?;
    receiver.wait_for(count - dead.len(), SOON * 2).await?;
    let request = json!({"what": "deliveries", "filter": {"destination": waits, "error_code": "over_quota"}});
    api.call("POST", "/replays", Some(&request)).await?.expect(202)?;
    receiver.wait_for(count, SOON * 2).await?;
    Ok(())
}
