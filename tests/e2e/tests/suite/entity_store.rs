//! The entities that are kept: deleting them, their versions, and finding them.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use hookrail_harness::{Api, Receiver, Stack, eventually};
use serde_json::{Value, json};

use crate::fixtures::{SOON, accepted, destination, entity, route, settled_event, source, unique};

fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().cloned().unwrap_or_default()
}

fn column(page: &Value, name: &str) -> Vec<String> {
    let texts = items(page)
        .into_iter()
        .map(|item| item[name].as_str().unwrap_or_default().to_owned());
    texts.collect()
}

pub(crate) async fn a_deleted_entity_is_told_of_stays_away_and_keeps_its_history(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let (api, receiver, kind) = (&stack.api, Receiver::start()?, unique("customer"));
    let rules = json!({"type": kind, "path": "$.user", "unique_id": "$.id", "title": "$.name",
        "fields": {"city": "$.city"}, "history": 4,
        "delete_when": {"path": "$.event", "op": "eq", "value": "user.deleted"}});
    let source = source(api, json!({"entity": rules})).await?;
    let destination = destination(api, &receiver, json!({"ordering": "key"})).await?;
    let changes = ["entity.created", "entity.updated", "entity.deleted"];
    route(api, &source, &destination, &changes).await?;

    let send = async |event: &str, city: &str| {
        let user = json!({"id": 42, "name": "Ann", "city": city, "n": 9_007_199_254_740_993_u64});
        accepted(api, &source, &json!({"event": event, "user": user}).to_string()).await
    };
    send("user.created", "Bern").await?;
    send("user.changed", "Bonn").await?;
    let last = send("user.deleted", "Rome").await?;
    let event = settled_event(api, &last).await?;
    ensure!(event["entities"][0]["change"] == "deleted", "{event}");
    let (path, history) = (
        format!("/entities/{kind}/42"),
        format!("/entities/{kind}/42/history"),
    );
    api.call("GET", &path, None).await?.expect(404)?;
    let nothing = api.get(&format!("/entities?type={kind}")).await?;
    ensure!(items(&nothing).is_empty(), "{nothing}");
    // What happened to it is still found.
    let events = api.get(&format!("/events?entity={kind}/42&limit=10")).await?;
    ensure!(items(&events).len() == 3, "{events}");

    let arrivals = receiver.wait_for(3, SOON).await?;
    let told: Vec<Value> = arrivals
        .iter()
        .map(|arrival| arrival.json()["event_type"].clone())
        .collect();
    ensure!(told == changes, "{told:?}");
    let deleted = arrivals[2].json();
    ensure!(
        deleted["data"]["city"] == "Bonn" && deleted["data"]["n"] == 9_007_199_254_740_993_u64,
        "what it was last: {deleted}"
    );
    ensure!(
        deleted["current_context"]["previous_fields"]["city"] == "Bonn",
        "{deleted}"
    );

    // A deletion of what is gone says nothing; a new event makes it anew; and a person deletes it.
    send("user.deleted", "Rome").await?;
    send("user.created", "Oslo").await?;
    entity(api, &kind, "42").await?;
    api.call("DELETE", &path, None).await?.expect(204)?;
    api.call("GET", &path, None).await?.expect(404)?;
    api.call("DELETE", &path, None).await?.expect(404)?;
    let arrivals = receiver.wait_for(5, SOON).await?;
    let told: Vec<Value> = arrivals[3..]
        .iter()
        .map(|arrival| arrival.json()["event_type"].clone())
        .collect();
    ensure!(told == ["entity.created", "entity.deleted"], "{told:?}");
    ensure!(
        arrivals[4].json()["data"]["city"] == "Oslo",
        "{}",
        arrivals[4].json()
    );

    let page = api.get(&format!("{history}?limit=3")).await?;
    ensure!(
        column(&page, "change") == ["deleted", "created", "deleted"],
        "{page}"
    );
    let cursor = page["next_cursor"].as_str().context("a next page")?;
    let rest = api.get(&format!("{history}?cursor={cursor}")).await?;
    ensure!(column(&rest, "change") == ["updated"], "four are kept: {rest}");
    ensure!(rest["items"][0]["data"]["city"] == "Bonn", "{rest}");
    let status = api.get(&format!("/sources/{}/status", source.id)).await?;
    ensure!(
        status["received"] == 5 && status["processed"] == 5,
        "no sender sent the deletion: {status}"
    );

    // A replay of the first event brings nothing back.
    let replay = json!({"what": "events", "filter": {"source": source.id}, "dry_run": false});
    let replay = api.call("POST", "/replays", Some(&replay)).await?.expect(202)?;
    let of_replay = format!("/replays/{}", replay["id"].as_str().context("an id")?);
    eventually("the replay is done", SOON, || async {
        api.get(&of_replay)
            .await
            .ok()
            .filter(|replay| replay["status"] == "done")
    })
    .await?;
    api.call("GET", &path, None).await?.expect(404)?;
    Ok(())
}

async fn found(api: &Api, query: &str) -> anyhow::Result<Vec<String>> {
    Ok(column(
        &api.get(&format!("/entities?{query}")).await?,
        "unique_id",
    ))
}

pub(crate) async fn entities_and_their_events_are_found_by_what_they_have(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let (api, kind, word) = (&stack.api, unique("customer"), unique("word"));
    let rules = json!({"type": kind, "unique_id": "$.id", "title": "$.name",
        "fields": {"city": "$.city", "n": "$.n", "tags": "$.tags"}});
    let source = source(api, json!({"entity": rules})).await?;
    let payload = json!([
        {"id": "Cus_A1", "name": format!("Ann Müller {word}"), "city": "Bad Honnef", "n": 9_007_199_254_740_993_u64, "tags": ["x", "y"]},
        {"id": "Cus_B2", "name": format!("Bob {word}"), "city": "Bonn", "n": "42", "tags": []},
        {"id": 7, "name": format!("Cid {word}"), "city": "Bonn", "n": 42, "tags": ["y"]},
    ]);
    let event = accepted(api, &source, &payload.to_string()).await?;
    settled_event(api, &event).await?;
    let check = async |query: &str, expected: &[&str]| {
        let mut found = found(api, &format!("type={kind}&{query}")).await?;
        found.sort();
        ensure!(found == expected, "{query}: {found:?}");
        Ok(())
    };
    for (query, expected) in [
        ("", vec!["7", "Cus_A1", "Cus_B2"]),
        ("q=cus_a1", vec!["Cus_A1"]),
        ("q=m%C3%BCller%20ANN", vec!["Cus_A1"]),
        ("q=bonn", vec!["7", "Cus_B2"]),
        ("q=bonn%20cid", vec!["7"]),
        ("q=9007199254740993", vec!["Cus_A1"]),
        ("q=bon", vec![]),
        ("field.city=Bad%20Honnef", vec!["Cus_A1"]),
        ("field.city=bonn", vec![]),
        ("field.n=42", vec!["7", "Cus_B2"]),
        ("field.tags=y", vec!["7", "Cus_A1"]),
        ("field.tags=y&q=cid", vec!["7"]),
    ] {
        check(query, &expected).await?;
    }
    let mut pages = Vec::new();
    let mut query = format!("/entities?q={word}&limit=2");
    while let Some(page) = Some(api.get(&query).await?) {
        pages.extend(column(&page, "unique_id"));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("/entities?q={word}&limit=2&cursor={cursor}"),
            None => break,
        }
    }
    pages.sort();
    ensure!(pages == ["7", "Cus_A1", "Cus_B2"], "{pages:?}");
    // A name that changed is found by the new one alone.
    let renamed =
        json!({"id": "Cus_B2", "name": format!("Rob {word}"), "city": "Bonn", "n": "42", "tags": []});
    let second = accepted(api, &source, &renamed.to_string()).await?;
    settled_event(api, &second).await?;
    check("q=bob", &[]).await?;
    check("q=rob", &["Cus_B2"]).await?;
    for (q, expected) in [
        ("cus_b2", vec![&second, &event]),
        ("rob", vec![&second, &event]),
        (&kind, vec![&second, &event]),
    ] {
        let q = format!("/events?q={q}&source={}", source.id);
        let events = column(&api.get(&q).await?, "id");
        ensure!(events.iter().collect::<Vec<_>>() == expected, "{q}: {events:?}");
    }
    // Parts of words, and what has changed since, are in the bodies only, which take a time range.
    let since = "since=2020-01-01T00:00:00Z";
    for (q, expected) in [
        (format!("ob%20{word}&{since}"), vec![&second, &event]),
        (format!("BOB%20{word}&{since}"), vec![&event]),
        (format!("%22city%22&{since}&order=asc"), vec![&event, &second]),
        (format!("rob&{since}"), vec![&second, &event]),
        (format!("ob%20{word}"), vec![]),
        (format!("ob%20{word}&{since}&until=2020-01-02T00:00:00Z"), vec![]),
    ] {
        let q = format!("/events?source={}&q={q}", source.id);
        let events = column(&api.get(&q).await?, "id");
        ensure!(events.iter().collect::<Vec<_>>() == expected, "{q}: {events:?}");
    }
    let mut query = format!("/events?source={}&q=ob%20{word}&{since}&limit=1", source.id);
    let page = api.get(&query).await?;
    ensure!(column(&page, "id") == [second.as_str()], "{page}");
    let cursor = page["next_cursor"].as_str().context("a second page")?;
    query.push_str(&format!("&cursor={cursor}"));
    let page = api.get(&query).await?;
    ensure!(
        column(&page, "id") == [event.as_str()] && page["next_cursor"].is_null(),
        "{page}"
    );
    let long = vec!["a"; 17].join("%20");
    for path in [format!("/entities?q={long}"), format!("/events?q={long}")] {
        api.call("GET", &path, None).await?.expect(422)?;
    }
    Ok(())
}
