//! E: a sync to a webhook destination, whose receiver was written for another product.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use hookrail_harness::{Api, Receiver, Stack, eventually};
use serde_json::{Value, json};

use crate::fixtures::{SOON, accepted, settled_event, source, text, unique};

/// The record that is looked at is the last of so many.
const ROWS: usize = 347;
/// What its receiver gets by POST and by GET, byte for byte.
const BODY: &str = r#"{"_message_id":346,"_sync_mode":"upsert","_type":"object","payload":{"_valmi_meta":{"_valmi_row_num":347,"_valmi_sync_op":"upsert"},"my_first_name":"Ryan","my_last_name":"Salisbury","email":"ryan.salisbury@sakilacustomer.org","active":1}}"#;
const PATH: &str = "/?_valmi_meta__valmi_row_num=347&_valmi_meta__valmi_sync_op=upsert&my_first_name=Ryan&my_last_name=Salisbury&email=ryan.salisbury%40sakilacustomer.org&active=1&_message_id=346&_sync_mode=upsert";

pub(crate) async fn a_sync_to_a_webhook_destination(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, kind) = (&stack.api, unique("customer"));
    let rules = json!({"type": kind, "path": "$[*]", "unique_id": "$.customer_id"});
    let source = source(api, json!({"entity": rules})).await?;
    let customers: Value = (1..=ROWS)
        .map(|n| match n {
            ROWS => json!({"customer_id": format!("c{n:03}"), "first": "Ryan", "last": "Salisbury",
                "email": "ryan.salisbury@sakilacustomer.org", "active": 1}),
            n => json!({"customer_id": format!("c{n:03}"), "first": "A", "last": "B", "email": null, "active": 0}),
        })
        .collect();
    let event = accepted(api, &source, &customers.to_string()).await?;
    ensure!(settled_event(api, &event).await?["status"] == "processed");

    for method in ["POST", "GET"] {
        let receiver = Receiver::start()?;
        // 1. A URL and a method; the connection is tested before it is created.
        let spec = json!({"name": unique("valmi"), "url": format!("{}/", receiver.url()), "method": method});
        let tried = api
            .call("POST", "/destinations/test", Some(&spec))
            .await?
            .expect(200)?;
        ensure!(tried["response"]["status"] == 204, "{tried}");
        let destination = text(&api.create("/destinations", spec).await?, "/id")?;
        // 2. A mode, a primary key, source fields mapped to destination fields.
        let mapping = json!({"my_first_name": "$.first", "my_last_name": "$.last", "email": "$.email", "active": "$.active"});
        let sync = json!({"name": unique("sync"), "from": {"entities": kind, "primary_key": ["customer_id"]},
            "destination": destination, "mode": "upsert", "mapping": mapping, "meta_prefix": "_valmi"});
        let sync = text(&api.create("/syncs", sync).await?, "/id")?;
        let asked = api
            .call("POST", &format!("/syncs/{sync}/runs"), None)
            .await?
            .expect(202)?;
        let run = ended(api, &text(&asked, "/id")?).await?;
        ensure!(run["status"] == "done", "{run}");
        // 3, 4. What arrives is what such receivers know.
        let arrived = receiver.arrivals();
        let last = match method {
            "POST" => arrived.iter().find(|arrival| arrival.text() == BODY),
            _ => arrived.iter().find(|arrival| arrival.path == PATH),
        };
        let example = arrived
            .last()
            .map(|arrival| format!("{} {}", arrival.path, arrival.text()));
        let last = last.with_context(|| format!("{method}: none of {} is it: {example:?}", arrived.len()))?;
        ensure!(last.method == method, "{}", last.method);
        // 5. Runs are listed with the callbacks made, by operation and by outcome.
        let runs = api.get(&format!("/syncs/{sync}/runs")).await?;
        let counts = &runs["items"][0]["operations"]["upsert"];
        ensure!(counts["planned"] == ROWS && counts["delivered"] == ROWS, "{runs}");
    }
    Ok(())
}

async fn ended(api: &Api, run: &str) -> anyhow::Result<Value> {
    eventually("the run ends", 3 * SOON, || async {
        let run = api.get(&format!("/runs/{run}")).await.ok()?;
        let is_open = ["queued", "running", "delivering"]
            .iter()
            .any(|status| run["status"] == *status);
        (!is_open).then_some(run)
    })
    .await
}
