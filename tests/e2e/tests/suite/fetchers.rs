//! Entities that a fetcher gets by their ids: the newest state in the end, in order, whatever fails meanwhile.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use hookrail_harness::{Api, Receiver, Reply, Service, Stack, eventually};
use serde_json::{Value, json};

use crate::fixtures::{
    SOON, Source, accepted, destination, entity, route, settled_event, source, text, unique,
};

/// Webhooks on their way at a time.
const SENDERS: usize = 8;

/// A sender's REST API: objects with a version each, and how it misbehaves.
struct Rest {
    versions: Vec<AtomicU64>,
    calls: AtomicUsize,
}

impl Rest {
    fn new(objects: usize) -> Arc<Self> {
        Arc::new(Self {
            versions: (0..objects).map(|_| AtomicU64::new(0)).collect(),
            calls: AtomicUsize::new(0),
        })
    }

    /// Changes an object; gives its new version.
    fn change(&self, object: usize) -> u64 {
        self.versions[object].fetch_add(1, Ordering::SeqCst) + 1
    }

    fn version(&self, object: usize) -> u64 {
        self.versions[object].load(Ordering::SeqCst)
    }

    /// Serves the objects at `/users/{n}`: every tenth call fails, every twentieth answers late what was true
    /// when it came.
    fn serve(self: &Arc<Self>, slow: Duration) -> anyhow::Result<Receiver> {
        let rest = Arc::clone(self);
        Receiver::without_bodies(move |call| {
            let number = rest.calls.fetch_add(1, Ordering::SeqCst);
            if call.header("authorization") != "Bearer of-the-api" {
                return Reply::status(401);
            }
            if number % 10 == 3 {
                return Reply::status(500);
            }
            let object = call.path.strip_prefix("/users/u%2F");
            let Some(object) = object.and_then(|object| object.parse::<usize>().ok()) else {
                return Reply::status(404);
            };
            let data = json!({"data": {"id": format!("u/{object}"), "version": rest.version(object)}});
            Reply {
                after: if number % 20 == 7 { slow } else { Duration::ZERO },
                body: data.to_string(),
                ..Reply::status(200)
            }
        })
    }
}

/// A fetcher of `kind` from `rest`, as `changes` say.
async fn fetcher(api: &Api, kind: &str, url: String, changes: Value) -> anyhow::Result<String> {
    let mut spec = json!({
        "name": unique("fetcher"), "type": kind, "url": url, "entity_path": "$.data", "unique_id": "$.id",
        "auth": {"type": "bearer", "token": "of-the-api"}, "timeout_ms": 2000,
        "retry": {"initial_ms": 100, "max_ms": 300}
    });
    for (name, value) in changes.as_object().context("changes are an object")? {
        spec[name] = value.clone();
    }
    text(&api.create("/fetchers", spec).await?, "/id")
}

/// A source whose webhooks name entities of `kind` at `$.user.id`.
async fn source_of(api: &Api, kind: &str, fetcher: &str) -> anyhow::Result<Source> {
    let rules = json!({"type": kind, "build": "fetcher", "fetcher": fetcher, "unique_id": "$.user.id",
        "title": "$.id", "fields": {"version": "$.version"}});
    source(api, json!({"entity": rules})).await
}

/// Changes objects one after the other and sends a webhook for each change.
async fn send_changes(api: &Api, source: &Source, rest: &Rest, webhooks: usize) -> anyhow::Result<()> {
    let objects = rest.versions.len();
    let sending = stream::iter(0..webhooks).map(|number| async move {
        let object = (number * 7) % objects;
        rest.change(object);
        let body = json!({"user": {"id": format!("u/{object}")}, "n": number}).to_string();
        accepted(api, source, &body).await.map(drop)
    });
    sending.buffer_unordered(SENDERS).try_collect().await
}

/// Waits until every entity is in its object's newest state.
async fn all_newest(api: &Api, kind: &str, rest: &Rest) -> anyhow::Result<()> {
    for object in 0..rest.versions.len() {
        let path = format!("/entities/{kind}/u%2F{object}");
        let newest = || async {
            let found = api.get(&path).await.ok()?;
            (found["data"]["version"] == rest.version(object)).then_some(found)
        };
        let found = eventually(&format!("{path} in its newest state"), SOON, newest).await?;
        ensure!(found["title"] == format!("u/{object}"), "{found}");
        ensure!(found["fields"]["version"] == rest.version(object), "{found}");
    }
    Ok(())
}

pub(crate) async fn a_thousand_ids_end_in_their_newest_state_and_in_order(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let (api, told) = (&stack.api, Receiver::start()?);
    let (rest, kind) = (Rest::new(100), unique("customer"));
    let served = rest.serve(Duration::from_millis(400))?;
    let fetcher = fetcher(
        api,
        &kind,
        format!("{}/users/{{{{id}}}}", served.url()),
        json!({}),
    )
    .await?;
    let source = source_of(api, &kind, &fetcher).await?;
    let to = destination(api, &told, json!({"ordering": "key"})).await?;
    route(api, &source, &to, &["entity.created", "entity.updated"]).await?;

    send_changes(api, &source, &rest, 1_000).await?;
    all_newest(api, &kind, &rest).await?;
    let last: BTreeMap<String, u64> = eventually("the newest state of all is told", SOON, || async {
        let last: BTreeMap<String, u64> = versions_of(&told).ok()?.into_iter().collect();
        let newest = |object| last.get(&format!("u/{object}")) == Some(&rest.version(object));
        (0..100).all(newest).then_some(last)
    })
    .await?;
    ensure!(last.len() == 100, "{last:?}");
    let mut before: BTreeMap<String, u64> = BTreeMap::new();
    for (arrival, (id, version)) in told.arrivals().iter().zip(versions_of(&told)?) {
        let kind_of_change = arrival.json()["event_type"].clone();
        let known = before.insert(id.clone(), version);
        let expected = if known.is_some() {
            "entity.updated"
        } else {
            "entity.created"
        };
        ensure!(kind_of_change == expected, "{id} {version}: {kind_of_change}");
        ensure!(
            known.is_none_or(|known| known < version),
            "{id}: {version} after {known:?}"
        );
    }
    let status = eventually("all webhooks are processed", SOON, || async {
        let status = api.get(&format!("/sources/{}/status", source.id)).await.ok()?;
        (status["processed"] == 1_000).then_some(status)
    })
    .await?;
    ensure!(status["received"] == 1_000 && status["queued"] == 0, "{status}");
    let failed = api
        .get(&format!("/deliveries?fetcher={fetcher}&status=dead"))
        .await?;
    ensure!(failed["items"] == json!([]), "{failed}");
    Ok(())
}

/// Waits until that many fetches of a fetcher have their answer, and are all that there are.
async fn all_answered(api: &Api, fetcher: &str, fetches: usize) -> anyhow::Result<()> {
    let all = || async {
        let found = api
            .get(&format!("/deliveries?fetcher={fetcher}&limit=200"))
            .await
            .ok()?;
        found["items"].as_array().cloned()
    };
    let answered = || async {
        let is_answered = |fetch: &Value| fetch["status"] == "delivered";
        let found = all().await?;
        (found.len() == fetches && found.iter().all(is_answered)).then_some(())
    };
    let waited = eventually("every fetch has its answer", SOON * 2, answered).await;
    let found = all().await.unwrap_or_default();
    let open = found.iter().find(|fetch| fetch["status"] != "delivered");
    waited.with_context(|| format!("{} fetches, one of them {open:?}", found.len()))
}

pub(crate) async fn a_burst_about_one_entity_costs_few_calls(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, kind) = (&stack.api, unique("customer"));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    // The first call takes until all webhooks wait behind it.
    let served = Receiver::with_script(move |_| Reply {
        after: match counted.fetch_add(1, Ordering::SeqCst) {
            0 => Duration::from_secs(4),
            _ => Duration::ZERO,
        },
        body: r#"{"data":{"id":"u/0"}}"#.to_owned(),
        ..Reply::status(200)
    })?;
    let url = format!("{}/users/{{{{id}}}}", served.url());
    let fetcher = fetcher(api, &kind, url, json!({"timeout_ms": 10000})).await?;
    let source = source_of(api, &kind, &fetcher).await?;
    send_changes(api, &source, &Rest::new(1), 100).await?;
    all_answered(api, &fetcher, 100).await?;
    let calls = calls.load(Ordering::SeqCst);
    ensure!(calls <= 10, "{calls} calls for 100 webhooks about one entity");
    Ok(())
}

/// The ids and versions that a receiver was told, in order.
fn versions_of(told: &Receiver) -> anyhow::Result<Vec<(String, u64)>> {
    let version = |body: Value| {
        let id = text(&body, "/data/id")?;
        let version = body["data"]["version"].as_u64().context("a version")?;
        Ok((id, version))
    };
    told.arrivals()
        .iter()
        .map(|arrival| version(arrival.json()))
        .collect()
}

pub(crate) async fn fetches_survive_the_death_of_who_makes_them(stack: Arc<Stack>) -> anyhow::Result<()> {
    let mut own = stack.another(&[]).await?;
    let (rest, kind) = (Rest::new(20), unique("customer"));
    let served = rest.serve(Duration::from_millis(1_500))?;
    let url = format!("{}/users/{{{{id}}}}", served.url());
    let fetcher = fetcher(&own.api, &kind, url, json!({"max_in_flight": 2})).await?;
    let source = source_of(&own.api, &kind, &fetcher).await?;
    send_changes(&own.api, &source, &rest, 60).await?;
    served.wait_for(10, SOON).await?;
    let is_four = own.nats.is_some();
    own.kill(if is_four { Service::Dispatcher.name() } else { "up" });
    let made = served.count();
    match is_four {
        true => {
            own.start_service(Service::Dispatcher)?;
            own.wait_ready().await?;
        }
        false => own.start_up().await?,
    }
    all_newest(&own.api, &kind, &rest).await?;
    // What the journal had not written down yet is told it again after a minute: that is not waited for.
    let fetches = own
        .api
        .get(&format!("/deliveries?fetcher={fetcher}&limit=200"))
        .await?;
    let fetches = fetches["items"].as_array().context("a list")?;
    let lost = |fetch: &&Value| fetch["status"] == "dead" || fetch["status"] == "cancelled";
    ensure!(fetches.len() == 60, "{} fetches", fetches.len());
    ensure!(fetches.iter().find(lost).is_none(), "{fetches:?}");
    ensure!(served.count() > made, "killed too late: {made} calls");
    Ok(())
}

pub(crate) async fn answers_that_give_no_entity_are_told_and_mended(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, kind) = (&stack.api, unique("customer"));
    let served = Receiver::with_script(|call| {
        let answer = |status, body: &str| Reply {
            body: body.to_owned(),
            ..Reply::status(status)
        };
        let id = call.path.rsplit('/').next().unwrap_or_default();
        let whole = |id: &str| json!({"data": {"id": id}, "more": {"data": {"id": id}}}).to_string();
        if let Some((_, id)) = id.split_once("mended?of=") {
            return answer(200, &whole(id));
        }
        match id {
            "html" => answer(200, "<html>"),
            "other" => answer(200, r#"{"data":{"id":"someone"}}"#),
            "none" => answer(200, r#"{"data":{"name":"a"}}"#),
            "long" => answer(200, &format!(r#"{{"data":"{}"}}"#, "a".repeat(1 << 20))),
            "gone" => answer(404, "{}"),
            "old" => answer(422, "not now"),
            _ => answer(200, &whole(id)),
        }
    })?;
    let url = format!("{}/{{{{id}}}}", served.url());
    let fetcher = fetcher(api, &kind, url, json!({"on_404": "fail"})).await?;
    let source = source_of(api, &kind, &fetcher).await?;
    for (id, status, field) in [
        ("html", "failed", "fetcher"),
        ("other", "failed", "fetcher.unique_id"),
        ("none", "failed", "fetcher.unique_id"),
        ("long", "dead", "fetcher"),
        ("gone", "dead", "fetcher"),
        ("old", "dead", "fetcher"),
    ] {
        let webhook = accepted(api, &source, &json!({"user": {"id": id}}).to_string()).await?;
        let event = settled_event(api, &webhook).await?;
        ensure!(event["status"] == "processed", "{event}");
        let fetch = fetch_of(api, &webhook, |fetch| fetch["status"] != "pending").await?;
        ensure!(
            fetch["destination"].is_null() && fetch["fetcher"] == fetcher.as_str(),
            "{fetch}"
        );
        ensure!(fetch["entity"]["unique_id"] == id, "{fetch}");
        match status {
            "dead" => ensure!(
                fetch["status"] == "dead" && fetch["attempts"][0]["response"]["status"].is_u64(),
                "{fetch}"
            ),
            _ => ensure!(fetch["status"] == "delivered", "{fetch}"),
        }
        let path = format!("/sources/{}/status", source.id);
        let warned = || async {
            let found = api.get(&path).await.ok()?;
            let warnings = found["warnings"].as_array()?;
            warnings
                .iter()
                .any(|warning| warning["field"] == field)
                .then_some(())
        };
        eventually(&format!("{id}: the source warns of {field}"), SOON, warned).await?;
        let found = api.call("GET", &format!("/entities/{kind}/{id}"), None).await?;
        ensure!(found.status == 404, "{id}: {}", found.text);
    }
    // What a person mends is done again: a dead fetch asks by what the fetcher says now.
    let webhook = accepted(api, &source, r#"{"user":{"id":"old"}}"#).await?;
    let dead = fetch_of(api, &webhook, |fetch| fetch["status"] == "dead").await?;
    let mended =
        json!({"url": format!("{}/mended?of={{{{id}}}}", served.url()), "entity_path": "$.more.data"});
    api.call("PATCH", &format!("/fetchers/{fetcher}"), Some(&mended))
        .await?
        .expect(200)?;
    api.call(
        "PATCH",
        &format!("/fetchers/{fetcher}"),
        Some(&json!({"url": format!("{}/{{{{id}}}}#", served.url())})),
    )
    .await?
    .expect(422)?;
    let retry = format!("/deliveries/{}/retry", text(&dead, "/id")?);
    api.call("POST", &retry, None).await?.expect(202)?;
    let again = fetch_of(api, &webhook, |fetch| fetch["status"] == "delivered").await?;
    ensure!(
        again["attempts"]
            .as_array()
            .is_some_and(|attempts| attempts.len() == 2),
        "{again}"
    );
    entity(api, &kind, "old").await?;
    Ok(())
}

/// The only fetch of an event, with its attempts, once it is as wanted.
async fn fetch_of(api: &Api, webhook: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let wanted = &wanted;
    eventually(&format!("the fetch of {webhook}"), SOON, || async move {
        let found = api.get(&format!("/deliveries?event={webhook}")).await.ok()?;
        let id = found["items"][0]["id"].as_str()?;
        let fetch = api.get(&format!("/deliveries/{id}")).await.ok()?;
        wanted(&fetch).then_some(fetch)
    })
    .await
}

pub(crate) async fn an_entity_that_its_api_has_no_more_is_deleted_or_marked(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let (api, told) = (&stack.api, Receiver::start()?);
    let gone = Arc::new(AtomicUsize::new(0));
    let is_gone = Arc::clone(&gone);
    let served = Receiver::with_script(move |call| {
        if is_gone.load(Ordering::SeqCst) == 1 {
            return Reply::status(404);
        }
        let asked: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        Reply {
            body: json!({"data": [{"shop": asked["shop"], "id": 7, "shown": call.header("x-shop")}]})
                .to_string(),
            ..Reply::status(200)
        }
    })?;
    let mut sources = Vec::new();
    for on_404 in ["delete", "mark"] {
        let kind = unique("item");
        let composite = json!({
            "on_404": on_404, "unique_id": ["$.shop", "$.id"], "method": "POST", "headers": {"X-Shop": "of {{id.0}}"},
            "body": r#"{"shop":"{{id.0}}","item":"{{id.1}}"}"#
        });
        let fetcher = fetcher(api, &kind, format!("{}/items", served.url()), composite).await?;
        let rules =
            json!({"type": kind, "build": "fetcher", "fetcher": fetcher, "unique_id": ["$.shop", "$.item"]});
        let source = source(api, json!({"entity": rules})).await?;
        let to = destination(api, &told, json!({"ordering": "key"})).await?;
        route(
            api,
            &source,
            &to,
            &["entity.created", "entity.updated", "entity.deleted"],
        )
        .await?;
        sources.push((source, kind));
    }
    let webhook = r#"{"shop":"a\"b","item":7}"#;
    let unique_id = COMPOSITE_ID;
    for (source, kind) in &sources {
        accepted(api, source, webhook).await?;
        let found = entity(api, kind, unique_id).await?;
        ensure!(found["data"]["shown"] == "of a\"b", "{found}");
    }
    told.wait_for(2, SOON).await?;
    gone.store(1, Ordering::SeqCst);
    for (source, _) in &sources {
        accepted(api, source, webhook).await?;
    }
    let arrivals = told.wait_for(4, SOON).await?;
    let mut types: Vec<Value> = arrivals[2..]
        .iter()
        .map(|arrival| arrival.json()["event_type"].clone())
        .collect();
    types.sort_by_key(Value::to_string);
    ensure!(types == ["entity.deleted", "entity.updated"], "{types:?}");
    let (deleted, marked) = (&sources[0].1, &sources[1].1);
    let path = format!("/entities/{deleted}/{unique_id}");
    let is_gone = || async {
        let answer = api.call("GET", &path, None).await.ok()?;
        (answer.status == 404).then_some(())
    };
    eventually("it is deleted", SOON, is_gone).await?;
    let is_marked = |kept: &Value| kept["data"]["_missing"] == true && kept["fields"]["_missing"] == true;
    let kept = stored_as(api, marked, is_marked).await?;
    ensure!(kept["data"]["id"] == 7, "{kept}");
    // What comes back is a new entity, or loses its mark.
    gone.store(0, Ordering::SeqCst);
    for (source, _) in &sources {
        accepted(api, source, webhook).await?;
    }
    let arrivals = told.wait_for(6, SOON).await?;
    let mut types: Vec<Value> = arrivals[4..]
        .iter()
        .map(|arrival| arrival.json()["event_type"].clone())
        .collect();
    types.sort_by_key(Value::to_string);
    ensure!(types == ["entity.created", "entity.updated"], "{types:?}");
    stored_as(api, marked, |kept| kept["data"]["_missing"].is_null()).await?;
    Ok(())
}

/// `["a\"b",7]` in a path.
const COMPOSITE_ID: &str = "%5B%22a%5C%22b%22,7%5D";

/// Waits until the entity is stored as wanted: its changes are told before.
async fn stored_as(api: &Api, kind: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let (path, wanted) = (format!("/entities/{kind}/{COMPOSITE_ID}"), &wanted);
    let path = &path;
    eventually(&format!("GET {path} as wanted"), SOON, || async move {
        let found = api.get(path).await.ok()?;
        wanted(&found).then_some(found)
    })
    .await
}
