//! Syncs as their users see them: what each mode tells, tables that are mirrored through kills, and what is refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hookrail_harness::{
    Api, Arrival, Receiver, Reply, Stack, create_database, eventually, write_postgres, write_sqlite,
};
use serde_json::{Value, json};

use crate::fixtures::{SOON, accepted, destination, settled_event, source, text, unique};

/// How long a run of many rows may take on a busy machine, seconds.
const MANY_SOON: u64 = 180;
const MODES: [&str; 6] = ["upsert", "mirror", "append", "update", "create", "delete"];

/// Asks for a run and waits until all of it has ended.
async fn run(api: &Api, sync: &str) -> anyhow::Result<Value> {
    let asked = api.call("POST", &format!("/syncs/{sync}/runs"), None).await?;
    let location = asked.header("location").to_owned();
    let id = text(&asked.expect(202)?, "/id")?;
    ensure!(location == format!("/api/v1/runs/{id}"), "{location}");
    ended(api, &id).await
}

async fn ended(api: &Api, id: &str) -> anyhow::Result<Value> {
    eventually(&format!("run {id} ends"), MANY_SOON, || async {
        let run = api.get(&format!("/runs/{id}")).await.ok()?;
        let is_open = ["queued", "running", "delivering"]
            .iter()
            .any(|status| run["status"] == *status);
        (!is_open).then_some(run)
    })
    .await
}

fn bodies(receiver: &Receiver, from: usize) -> Vec<Value> {
    let told = receiver.arrivals();
    told[from..].iter().map(Arrival::json).collect()
}

/// What was told, as `operation id value`, sorted.
fn told(receiver: &Receiver, from: usize) -> Vec<String> {
    let line = |body: Value| {
        let payload = &body["payload"];
        let operation = payload["_hookrail_meta"]["_hookrail_sync_op"]
            .as_str()
            .unwrap_or("?")
            .to_owned();
        let value = payload["level"].as_str().unwrap_or("-").to_owned();
        format!("{operation} {} {value}", payload["customer_id"])
    };
    let mut lines: Vec<String> = bodies(receiver, from).into_iter().map(line).collect();
    lines.sort();
    lines
}

pub(crate) async fn each_mode_tells_what_it_means(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let kind = unique("customer");
    let rules = json!({"type": kind, "unique_id": "$.id", "delete_when": {"path": "$.gone", "op": "exists"}});
    let source = source(api, json!({"entity": rules})).await?;
    let send = async |bodies: &[&str]| {
        for body in bodies {
            let event = accepted(api, &source, body).await?;
            settled_event(api, &event).await?;
        }
        anyhow::Ok(())
    };
    let mapping = json!({"customer_id": "$.id", "level": "$.level"});
    let mut syncs = BTreeMap::new();
    for mode in MODES {
        let receiver = Receiver::start()?;
        let destination = destination(api, &receiver, json!({"ordering": "key"})).await?;
        let spec = json!({"name": unique("sync"), "from": {"entities": kind, "primary_key": ["id"]},
            "destination": destination, "mode": mode, "mapping": mapping});
        let id = text(&api.create("/syncs", spec).await?, "/id")?;
        syncs.insert(mode, (id, receiver, destination));
    }
    // The same records to a receiver that was written for the other product, by GET and by POST.
    let other = Receiver::start()?;
    let by_get = destination(api, &other, json!({"method": "GET"})).await?;
    let by_post = destination(api, &other, json!({})).await?;

    send(&[
        r#"{"id": 1, "level": "gold"}"#,
        r#"{"id": 2, "level": "tin"}"#,
        r#"{"id": 9007199254740993, "level": "a b"}"#,
    ])
    .await?;
    let mut first = BTreeMap::new();
    for mode in MODES {
        let (id, receiver, _) = &syncs[mode];
        let run = run(api, id).await?;
        ensure!(
            run["status"] == "done" && run["rows"]["read"] == 3,
            "{mode}: {run}"
        );
        first.insert(mode, receiver.count());
        let expected: Vec<String> = match mode {
            "update" | "delete" => {
                ensure!(run["rows"]["learned"] == 3, "{mode}: {run}");
                Vec::new()
            }
            mode => {
                let word = if mode == "mirror" { "upsert" } else { mode };
                ensure!(run["operations"][word]["delivered"] == 3, "{mode}: {run}");
                ["1 gold", "2 tin", "9007199254740993 a b"]
                    .iter()
                    .map(|row| format!("{word} {row}"))
                    .collect()
            }
        };
        ensure!(told(receiver, 0) == expected, "{mode}: {:?}", told(receiver, 0));
    }
    // 1 changes, 2 goes, 4 is new, and the large one stays as it is.
    send(&[
        r#"{"id": 1, "level": "iron"}"#,
        r#"{"id": 2, "gone": true}"#,
        r#"{"id": 4, "level": "new"}"#,
    ])
    .await?;
    for (mode, expected) in [
        ("upsert", vec!["upsert 1 iron", "upsert 4 new"]),
        ("mirror", vec!["delete 2 -", "upsert 1 iron", "upsert 4 new"]),
        ("append", vec!["append 4 new"]),
        ("update", vec!["update 1 iron"]),
        ("create", vec!["create 4 new"]),
        ("delete", vec!["delete 2 -"]),
    ] {
        let (id, receiver, destination) = &syncs[mode];
        let second = run(api, id).await?;
        ensure!(
            told(receiver, first[mode]) == expected,
            "{mode}: {:?} {second}",
            told(receiver, first[mode])
        );
        let count = receiver.count();
        let third = run(api, id).await?;
        ensure!(
            receiver.count() == count && third["status"] == "done",
            "nothing changed: {third}"
        );
        let refused = api
            .call("DELETE", &format!("/destinations/{destination}"), None)
            .await?;
        ensure!(
            refused.status == 409 && refused.text.contains(id.as_str()),
            "{}",
            refused.text
        );
    }
    // A run's records are deliveries like others, found by it and by their entity.
    let (id, _, _) = &syncs["mirror"];
    let runs = api.get(&format!("/syncs/{id}/runs?order=asc")).await?;
    let run_id = text(&runs, "/items/0/id")?;
    let deliveries = api.get(&format!("/deliveries?run={run_id}")).await?;
    ensure!(
        deliveries["items"].as_array().map(Vec::len) == Some(3),
        "{deliveries}"
    );
    ensure!(deliveries["items"][0]["run"] == run_id.as_str() && deliveries["items"][0]["event"].is_null());

    let record = json!({"my_first_name": "Ryan", "my_last_name": "Salisbury",
        "email": "ryan.salisbury@sakilacustomer.org", "active": 1});
    let other_kind = unique("person");
    let people = crate::fixtures::source(
        api,
        json!({"entity": {"type": other_kind, "unique_id": "$.email"}}),
    )
    .await?;
    let event = accepted(api, &people, &record.to_string()).await?;
    settled_event(api, &event).await?;
    let mapping = json!({"my_first_name": "$.my_first_name", "my_last_name": "$.my_last_name",
        "email": "$.email", "active": "$.active"});
    for destination in [by_get, by_post] {
        let spec = json!({"name": unique("sync"), "from": {"entities": other_kind}, "destination": destination,
            "meta_prefix": "_valmi", "mapping": mapping});
        let id = text(&api.create("/syncs", spec).await?, "/id")?;
        run(api, &id).await?;
    }
    let arrivals = other.wait_for(2, SOON).await?;
    let query = "/hook?_valmi_meta__valmi_row_num=1&_valmi_meta__valmi_sync_op=upsert&my_first_name=Ryan\
                 &my_last_name=Salisbury&email=ryan.salisbury%40sakilacustomer.org&active=1&_message_id=0&_sync_mode=upsert";
    ensure!(
        arrivals[0].method == "GET" && arrivals[0].path == query,
        "{}",
        arrivals[0].path
    );
    let body = concat!(
        r#"{"_message_id":0,"_sync_mode":"upsert","_type":"object","payload":{"_valmi_meta":{"_valmi_row_num":1,"#,
        r#""_valmi_sync_op":"upsert"},"my_first_name":"Ryan","my_last_name":"Salisbury","#,
        r#""email":"ryan.salisbury@sakilacustomer.org","active":1}}"#
    );
    ensure!(arrivals[1].text() == body, "{}", arrivals[1].text());
    Ok(())
}

/// A database of somebody else: a SQLite file for `hookrail up`, PostgreSQL for the four services.
struct Shop {
    url: String,
    file: Option<std::path::PathBuf>,
}

impl Shop {
    fn new(own: &Stack, folder: &std::path::Path) -> anyhow::Result<Self> {
        if own.nats.is_some() {
            let url = create_database(&unique("shop").replace('-', "_"))?.context("a PostgreSQL server")?;
            return Ok(Self { url, file: None });
        }
        Ok(Self {
            url: "sqlite://shop.db".to_owned(),
            file: Some(folder.join("shop.db")),
        })
    }

    fn write(&self, statements: &str) -> anyhow::Result<()> {
        match &self.file {
            Some(file) => write_sqlite(file, statements),
            None => write_postgres(&self.url, statements),
        }
    }

    /// The URL with a user, which a connection needs.
    fn database_url(&self) -> String {
        match self.url.split_once("://") {
            Some((scheme, rest)) if self.file.is_none() && !rest.contains('@') => {
                format!("{scheme}://postgres@{rest}")
            }
            _ => self.url.clone(),
        }
    }
}

/// What a receiver has after all that arrived: the value of each id, repetitions of a delivery counted once.
fn replica(arrivals: &[Arrival]) -> (BTreeMap<u64, u64>, usize) {
    let (mut rows, mut ids) = (BTreeMap::new(), std::collections::HashSet::new());
    for arrival in arrivals.iter().filter(|arrival| arrival.answered == 204) {
        ids.insert(arrival.header("webhook-id").to_owned());
        let body = arrival.json();
        let payload = &body["payload"];
        let id = payload["id"].as_u64().unwrap_or_default();
        match payload["_hookrail_meta"]["_hookrail_sync_op"].as_str() {
            Some("delete") => drop(rows.remove(&id)),
            _ => drop(rows.insert(id, payload["price"].as_u64().unwrap_or_default())),
        }
    }
    (rows, ids.len())
}

pub(crate) async fn a_table_is_mirrored_though_its_worker_is_killed(stack: Arc<Stack>) -> anyhow::Result<()> {
    let files = tempfile::tempdir()?;
    let folder = files.path().display().to_string();
    let environment = [("HOOKRAIL_SYNC_SQLITE_DIR", folder.as_str())];
    let settings: &[(&str, &str)] = if stack.nats.is_some() { &[] } else { &environment };
    let mut own = stack.another(settings).await?;
    let (api, count) = (own.api.clone(), 1_000_u64);
    let shop = Shop::new(&own, files.path())?;
    let mut rows = String::from("CREATE TABLE items (id BIGINT PRIMARY KEY, price BIGINT);");
    for id in 0..count {
        write!(rows, "INSERT INTO items VALUES ({id}, {});", id * 2)?;
    }
    shop.write(&rows)?;
    let receiver = Receiver::start()?;
    let order = json!({"ordering": "key", "max_in_flight": 64});
    let to = destination(&api, &receiver, order).await?;
    let connection = json!({"name": "shop", "database_url": shop.database_url()});
    let connection = api.create("/connections", connection).await?;
    ensure!(
        !connection.to_string().contains("shop.db") && connection["database_url"]["id"].is_string(),
        "{connection}"
    );
    let from = json!({"connection": connection["id"], "table": "items", "primary_key": ["id"]});
    let spec = json!({"name": "items", "from": from, "destination": to, "mode": "mirror"});
    let sync = text(&api.create("/syncs", spec).await?, "/id")?;

    let first = api
        .call("POST", &format!("/syncs/{sync}/runs"), None)
        .await?
        .expect(202)?;
    let first = text(&first, "/id")?;
    receiver.wait_for(100, MANY_SOON).await?;
    let before = api.get(&format!("/runs/{first}")).await?;
    own.restart_processor().await?;
    let done = ended(&api, &first)
        .await
        .map_err(|error| error.context(own.tails(20)))?;
    ensure!(before["status"] != "done", "killed too late: {before}");
    let upserts = json!({"planned": count, "delivered": count, "dead": 0, "cancelled": 0, "pending": 0});
    ensure!(
        done["status"] == "done" && done["operations"]["upsert"] == upserts,
        "{done}"
    );
    ensure!(done["rows"]["read"] == count, "{done}");
    let (found, deliveries) = replica(&receiver.arrivals());
    ensure!(
        found.len() as u64 == count && deliveries as u64 == count,
        "{} {deliveries}",
        found.len()
    );
    ensure!(found.iter().all(|(id, price)| *price == id * 2));

    // 1 % changed, 0.5 % deleted, and one row is new.
    shop.write(
        "UPDATE items SET price = price + 1 WHERE id % 100 = 7; DELETE FROM items WHERE id % 200 = 3;
        INSERT INTO items VALUES (100000, 5);",
    )?;
    let second = run(&api, &sync).await?;
    let planned = |operation: &str| second["operations"][operation]["delivered"].as_u64();
    ensure!(
        planned("upsert") == Some(count / 100 + 1) && planned("delete") == Some(count / 200),
        "{second}"
    );
    ensure!(
        second["rows"]["unchanged"] == count - count / 100 - count / 200,
        "{second}"
    );
    let (found, _) = replica(&receiver.arrivals());
    ensure!(found.len() as u64 == count - count / 200 + 1 && found[&7] == 15 && found[&100_000] == 5);
    stop_and_refuse(&api, &connection, &shop).await
}

/// A run whose destination takes nothing waits, is alone, and can be stopped.
async fn stop_and_refuse(api: &Api, connection: &Value, shop: &Shop) -> anyhow::Result<()> {
    let mut rows = String::from("CREATE TABLE many (id BIGINT PRIMARY KEY);INSERT INTO many VALUES (0)");
    for id in 1..7_000 {
        write!(rows, ", ({id})")?;
    }
    shop.write(&rows)?;
    let receiver = Receiver::with_script(|_| Reply::status(204))?;
    let to = destination(api, &receiver, json!({"enabled": false})).await?;
    let from = json!({"connection": connection["id"], "query": "SELECT id FROM many WHERE id >= 0", "primary_key": ["id"]});
    let spec = json!({"name": "many", "from": from, "destination": to, "mode": "append"});
    let sync = text(&api.create("/syncs", spec).await?, "/id")?;
    let path = format!("/syncs/{sync}/runs");
    let id = text(&api.call("POST", &path, None).await?.expect(202)?, "/id")?;
    let again = api.call("POST", &path, None).await?;
    ensure!(
        again.status == 409 && again.text.contains("run-open"),
        "{}",
        again.text
    );
    let waits = eventually("it waits for what it has sent", MANY_SOON, || async {
        let run = api.get(&format!("/runs/{id}")).await.ok()?;
        (run["waits_for"] == "deliveries").then_some(run)
    })
    .await?;
    ensure!(
        waits["rows"]["read"].as_u64() < Some(7_000),
        "it goes only so far ahead: {waits}"
    );
    let cancelled = api
        .call("POST", &format!("/runs/{id}/cancel"), None)
        .await?
        .expect(200)?;
    ensure!(cancelled["status"] == "cancelled", "{cancelled}");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let after = api.get(&format!("/runs/{id}")).await?;
    ensure!(after["rows"] == waits["rows"], "nothing more is read: {after}");
    ensure!(
        api.call("POST", &format!("/runs/{id}/cancel"), None)
            .await?
            .status
            == 200
    );

    // A key that is there twice is named, and so is a table that is not there.
    for (query, told) in [
        ("SELECT 1 AS id FROM many", "more than once"),
        ("SELECT NULL AS id FROM many", "null"),
    ] {
        let from = json!({"connection": connection["id"], "query": query, "primary_key": ["id"]});
        let spec = json!({"name": unique("sync"), "from": from, "destination": to});
        let failing = text(&api.create("/syncs", spec).await?, "/id")?;
        let failed = run(api, &failing).await?;
        let error = failed["error"].as_str().unwrap_or_default();
        ensure!(failed["status"] == "failed" && error.contains(told), "{failed}");
    }
    Ok(())
}

pub(crate) async fn syncs_that_can_not_be_meant_are_refused_by_field(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let api = &stack.api;
    let receiver = Receiver::start()?;
    let to = destination(api, &receiver, json!({})).await?;
    let sound = json!({"name": unique("sync"), "from": {"entities": "customer"}, "destination": to});
    let refused = async |path: &str, spec: &Value, pointer: &str| {
        let answer = api.call("POST", path, Some(spec)).await?;
        let at = format!("\"pointer\":\"{pointer}\"");
        ensure!(
            answer.status == 422 && answer.text.contains(&at),
            "{spec}: {}",
            answer.text
        );
        Ok(())
    };
    for (field, value, pointer) in [
        ("mode", json!("replace"), "/mode"),
        ("schedule", json!("every day"), "/schedule"),
        ("meta_prefix", json!("1"), "/meta_prefix"),
        (
            "destination",
            json!("dst_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
            "/destination",
        ),
        ("mapping", json!({"a": "$["}), "/mapping/a"),
        (
            "from",
            json!({"connection": "con_01ARZ3NDEKTSV4RRFFQ69G5FAV", "table": "t", "primary_key": ["a"]}),
            "/from/connection",
        ),
        ("surprise", json!(1), "/surprise"),
    ] {
        let mut spec = sound.clone();
        spec[field] = value;
        refused("/syncs", &spec, pointer).await?;
    }
    let urls = [
        "postgres://u:p@169.254.169.254/d",
        "postgres://u@%2Ftmp/d",
        "sqlite://../x.db",
        "redis://h/1",
        "mysql://h/d",
    ];
    for url in urls {
        let spec = json!({"name": unique("connection"), "database_url": url});
        refused("/connections", &spec, "/database_url").await?;
    }
    let mut spec = sound.clone();
    spec["schedule"] = json!("0 3 * * *");
    let created = api.create("/syncs", spec).await?;
    ensure!(
        created["next_run_at"]
            .as_str()
            .is_some_and(|at| at.contains("T03:00:00")),
        "{created}"
    );
    let id = text(&created, "/id")?;
    let path = format!("/syncs/{id}");
    // A destination takes no method that a sync of it can't be sent by.
    let own_name = json!({"mapping": {"_sync_mode": "$.mode"}});
    api.call("PATCH", &path, Some(&own_name)).await?.expect(200)?;
    let to_get = format!("/destinations/{to}?probe=false");
    let by_get = api
        .call("PATCH", &to_get, Some(&json!({"method": "GET"})))
        .await?;
    ensure!(
        by_get.status == 422 && by_get.text.contains("/method") && by_get.text.contains("_sync_mode"),
        "{}",
        by_get.text
    );
    let changed = api.call("PATCH", &path, Some(&json!({"mode": "mirror"}))).await?;
    ensure!(
        changed.status == 422 && changed.text.contains("/mode"),
        "{}",
        changed.text
    );
    let disabled = api
        .call("PATCH", &path, Some(&json!({"enabled": false})))
        .await?
        .expect(200)?;
    ensure!(disabled["next_run_at"].is_null(), "{disabled}");
    let asked = api.call("POST", &format!("{path}/runs"), None).await?;
    ensure!(
        asked.status == 409 && asked.text.contains("sync-disabled"),
        "{}",
        asked.text
    );
    ensure!(api.call("DELETE", &path, None).await?.status == 204);
    ensure!(api.call("GET", &path, None).await?.status == 404);
    ensure!(
        api.call("DELETE", &format!("/destinations/{to}"), None)
            .await?
            .status
            == 204
    );
    Ok(())
}
