//! What scenarios start from: sources, destinations, routes with names of their own, and waiting
//! for what follows from a webhook.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use hookrail_harness::{Api, Receiver, eventually};
use serde_json::{Value, json};

/// How long a webhook may take to have its effect, seconds.
pub(crate) const SOON: u64 = 60;

/// A signing secret in the form of the scheme.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A name that no other scenario uses.
pub(crate) fn unique(word: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    format!(
        "{word}-{}-{}",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    )
}

/// A source, and where it takes webhooks.
pub(crate) struct Source {
    pub(crate) id: String,
    pub(crate) path: String,
}

/// Creates a source from `spec`, with a name of its own, and waits until it is in force.
pub(crate) async fn source(api: &Api, spec: Value) -> anyhow::Result<Source> {
    let source = source_at_once(api, spec).await?;
    api.in_force().await?;
    Ok(source)
}

/// As [`source`], without the wait.
pub(crate) async fn source_at_once(api: &Api, mut spec: Value) -> anyhow::Result<Source> {
    let name = unique("source");
    spec["name"] = json!(name);
    let created = api.create("/sources", spec).await?;
    Ok(Source {
        id: text(&created, "/id")?,
        path: format!("/default/{name}"),
    })
}

/// Creates a destination for `receiver` from `spec`, with a name of its own, and gives its id.
pub(crate) async fn destination(api: &Api, receiver: &Receiver, mut spec: Value) -> anyhow::Result<String> {
    spec["name"] = json!(unique("destination"));
    spec["url"] = json!(format!("{}/hook", receiver.url()));
    let created = api.create("/destinations", spec).await?;
    text(&created, "/id")
}

/// Routes `events` of `source` to `destination`, waits until that is in force, and gives the route's id.
pub(crate) async fn route(
    api: &Api,
    source: &Source,
    destination: &str,
    events: &[&str],
) -> anyhow::Result<String> {
    let spec =
        json!({"name": unique("route"), "source": source.id, "events": events, "destination": destination});
    let created = api.create("/routes", spec).await?;
    api.in_force().await?;
    text(&created, "/id")
}

/// The text at a JSON pointer.
pub(crate) fn text(value: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    Ok(found
        .with_context(|| format!("no text at {pointer} of {value}"))?
        .to_owned())
}

/// Sends a JSON webhook that has to be accepted, and gives its event's id.
pub(crate) async fn accepted(api: &Api, source: &Source, body: &str) -> anyhow::Result<String> {
    // On a machine that has too much to do, a source may come into force later than it should.
    let answer = eventually("the source is in force", SOON, || async {
        let answer = api.send_json(&source.path, body.to_owned()).await;
        (!answer.as_ref().is_ok_and(|answer| answer.status == 404)).then_some(answer)
    })
    .await??;
    text(&answer.expect(202)?, "/event_id")
}

/// Waits until the event has a status other than `received`, and gives its document.
pub(crate) async fn settled_event(api: &Api, id: &str) -> anyhow::Result<Value> {
    eventually(&format!("event {id} is processed"), SOON, || async {
        let event = api.get(&format!("/events/{id}")).await.ok()?;
        (event["status"] != "received").then_some(event)
    })
    .await
}

/// Waits for the entity and gives its document.
pub(crate) async fn entity(api: &Api, entity_type: &str, unique_id: &str) -> anyhow::Result<Value> {
    let path = format!("/entities/{entity_type}/{unique_id}");
    eventually(&format!("GET {path}"), SOON, || async {
        api.get(&path).await.ok()
    })
    .await
}
