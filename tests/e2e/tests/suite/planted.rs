//! Secrets of every kind are planted, used and failed with; then they are looked for wherever anything is
//! kept or shown. A marker that is no secret is looked for in the same way, and has to be found.

use std::{path::Path, process::Command, sync::Arc};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hookrail_harness::{
    ADMIN_TOKEN, Api, Receiver, Reply, Stack, create_database, eventually, hookrail_binary,
};
use serde_json::{Value, json};

use crate::fixtures::{SOON, text, unique};

/// In a payload, a description and a header: no secret.
const MARKER: &str = "plantedmarkerthatisnosecret";

/// A client's certificate and key, made for tests.
const CLIENT: &str = include_str!("../../../../crates/outbound/testdata/client.pem");
const CLIENT_KEY: &str = include_str!("../../../../crates/outbound/testdata/client-key.pem");

/// What was planted, and must not be found.
struct Planted(Vec<String>);

impl Planted {
    /// A new secret, remembered with the forms in which it travels.
    fn secret(&mut self, word: &str) -> String {
        let secret = format!("planted{word}{:06}", self.0.len() * 7919 + 100_003);
        self.0.push(secret.clone());
        self.0.push(STANDARD.encode(format!("erp:{secret}")));
        secret
    }

    fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        // Searching in text is fast, and what is looked for is text.
        let text = String::from_utf8_lossy(bytes);
        let is_in = |needle: &&String| text.contains(needle.as_str());
        self.0.iter().find(is_in).map(String::as_str)
    }
}

fn is_marked(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains(MARKER)
}

pub(crate) async fn a_planted_secret_is_found_nowhere(stack: Arc<Stack>) -> anyhow::Result<()> {
    let own = stack.another(&[("HOOKRAIL_LOG_LEVEL", "debug")]).await?;
    let api = &own.api;
    let mut planted = Planted(vec![ADMIN_TOKEN.to_owned()]);
    let made = api
        .create("/tokens", json!({"label": "ci", "role": "viewer"}))
        .await?;
    planted.0.push(text(&made, "/token")?);
    let receiver = Receiver::with_script(|arrival| {
        Reply::status(if arrival.header("hookrail-attempt") == "1" {
            500
        } else {
            422
        })
    })?;
    let sources = sources(api, &mut planted).await?;
    fetcher(api, &mut planted, &receiver).await?;
    connection(api, &mut planted).await?;
    let destinations = destinations(api, &mut planted, &receiver).await?;
    let rotated = json!({"secret": planted.secret("rotatedsigning")});
    let path = format!("/destinations/{}/secrets", destinations[0]);
    // A secret of Standard Webhooks has a form of its own: this one is refused, and kept nowhere either.
    api.call("POST", &path, Some(&rotated)).await?.expect(422)?;
    // Definitions are in force within a second.
    api.in_force().await?;
    for source in &sources {
        source.send(api, &mut planted).await?;
    }
    all_dead(api, destinations.len() * sources.len()).await?;
    shown_nowhere(&own, &planted).await?;
    stored_nowhere(&own, &planted)
}

/// A source, and how its sender is let in.
struct Sender {
    path: String,
    headers: Vec<(&'static str, String)>,
    is_keyed: bool,
}

impl Sender {
    /// Sends one webhook that is accepted, and one whose credentials are wrong.
    async fn send(&self, api: &Api, planted: &mut Planted) -> anyhow::Result<()> {
        let mut headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        headers.push(("content-type", "application/json"));
        headers.push(("cookie", "session=plantedcookie000001"));
        headers.push(("x-marker", MARKER));
        let body = json!({"id": 1, "text": MARKER}).to_string();
        api.send(&self.path, &headers, body).await?.expect(202)?;
        let wrong = format!("Bearer {}", planted.secret("wrong"));
        let mut headers = vec![("authorization", wrong.as_str())];
        if self.is_keyed {
            headers.push(("x-key", &wrong));
        }
        let path = self.path.split('?').next().unwrap_or_default();
        api.send(path, &headers, "{}").await?.expect(401)?;
        planted.0.push("plantedcookie000001".to_owned());
        Ok(())
    }
}

async fn source(api: &Api, auth: Value) -> anyhow::Result<(String, String)> {
    let name = unique("planted");
    let made = api
        .create(
            "/sources",
            json!({"name": name, "description": MARKER, "auth": auth}),
        )
        .await?;
    Ok((text(&made, "/id")?, format!("/default/{name}")))
}

async fn sources(api: &Api, planted: &mut Planted) -> anyhow::Result<Vec<Sender>> {
    let mut senders = Vec::new();
    let basic = planted.secret("basic");
    let (_, path) = source(
        api,
        json!({"type": "basic", "username": "erp", "password": basic}),
    )
    .await?;
    let pair = format!("Basic {}", STANDARD.encode(format!("erp:{basic}")));
    senders.push(Sender {
        path,
        headers: vec![("authorization", pair)],
        is_keyed: false,
    });
    let bearer = planted.secret("bearer");
    let (_, path) = source(api, json!({"type": "bearer", "token": bearer})).await?;
    senders.push(Sender {
        path,
        headers: vec![("authorization", format!("Bearer {bearer}"))],
        is_keyed: false,
    });
    let keyed = json!({"type": "api_key", "header": "X-Key", "query": "key"});
    let (id, path) = source(api, keyed).await?;
    let pasted = planted.secret("pastedkey");
    let keys = format!("/sources/{id}/api-keys");
    api.create(&keys, json!({"label": "pasted", "key": pasted}))
        .await?;
    let made = api.create(&keys, json!({"label": "made"})).await?;
    let made = text(&made, "/key")?;
    planted.0.push(made.clone());
    senders.push(Sender {
        path: path.clone(),
        headers: vec![("x-key", pasted)],
        is_keyed: true,
    });
    senders.push(Sender {
        path: format!("{path}?key={made}"),
        headers: Vec::new(),
        is_keyed: true,
    });
    // Nothing is sent to these: that they are stored is enough.
    source(
        api,
        json!({"type": "jwt", "secret": planted.secret("jwtsharedsecretoflength")}),
    )
    .await?;
    let signature =
        json!({"type": "signature", "scheme": "github", "secrets": [planted.secret("signature")]});
    source(api, signature).await?;
    Ok(senders)
}

async fn fetcher(api: &Api, planted: &mut Planted, receiver: &Receiver) -> anyhow::Result<()> {
    let auth = json!({"type": "bearer", "token": planted.secret("fetcher")});
    let url = format!("{}/users/{{{{id}}}}", receiver.url());
    let spec =
        json!({"name": unique("planted"), "type": "customer", "url": url, "auth": auth, "unique_id": "$.id"});
    let made = api.create("/fetchers", spec).await?;
    let path = format!("/fetchers/{}/test", text(&made, "/id")?);
    api.call("POST", &path, Some(&json!({"id": "1"})))
        .await?
        .expect(200)?;
    Ok(())
}

/// A connection to a database that lets everybody in, with a password in its URL; one sync through it fails.
async fn connection(api: &Api, planted: &mut Planted) -> anyhow::Result<()> {
    let Some(shop) = create_database(&unique("planted"))? else {
        eprintln!("SKIPPED: the URL of a connection, since HOOKRAIL_TEST_POSTGRES_URL names no server");
        return Ok(());
    };
    let (scheme, rest) = shop.split_once("://").context("a URL")?;
    let host = rest.rsplit('@').next().unwrap_or(rest);
    let url = format!("{scheme}://postgres:{}@{host}", planted.secret("connection"));
    let made = api
        .create(
            "/connections",
            json!({"name": unique("planted"), "database_url": url}),
        )
        .await?;
    let receiver = Receiver::start()?;
    let to = json!({"name": unique("planted"), "url": format!("{}/hook", receiver.url())});
    let to = api.create("/destinations", to).await?;
    let from = json!({"connection": made["id"], "query": "SELECT 1 AS id", "primary_key": ["id"]});
    let spec = json!({"name": unique("planted"), "from": from, "destination": to["id"], "mode": "upsert"});
    let sync = text(&api.create("/syncs", spec).await?, "/id")?;
    let again = json!({"from": {"query": "SELECT id FROM nowhere"}});
    api.call("PATCH", &format!("/syncs/{sync}"), Some(&again)).await?;
    api.in_force().await?;
    let runs = format!("/syncs/{sync}/runs");
    api.call("POST", &runs, None).await?.expect(202)?;
    eventually("the run has ended", SOON, || async {
        let run = api.get(&runs).await.ok()?["items"][0].clone();
        (run["status"] != "running" && run["status"] != "pending").then_some(())
    })
    .await
}

/// Destinations with a credential of each kind, subscribed to all that is received.
async fn destinations(api: &Api, planted: &mut Planted, receiver: &Receiver) -> anyhow::Result<Vec<String>> {
    let specs = [
        json!({"auth": {"type": "header", "name": "X-Auth", "value": planted.secret("header")}}),
        json!({"auth": {"type": "basic", "username": "erp", "password": planted.secret("outbasic")}}),
        json!({"auth": {"type": "bearer", "token": planted.secret("outbearer")}}),
        json!({"api_key": planted.secret("outapikey")}),
        json!({"signing": {"type": "hmac", "header": "X-Sign", "secrets": [planted.secret("outhmac")]}}),
        json!({"proxy": {"url": "http://127.0.0.1:9", "username": "erp", "password": planted.secret("proxy")}}),
        json!({"auth": {"type": "oauth2_client_credentials", "token_url": format!("{}/token", receiver.url()),
            "client_id": "c", "client_secret": planted.secret("outclient")}}),
        json!({"tls": {"client_certificate": CLIENT, "client_key": CLIENT_KEY}}),
    ];
    // Its last line: what is looked for is text in one line.
    planted
        .0
        .extend(CLIENT_KEY.lines().rev().nth(1).map(str::to_owned));
    let mut ids = Vec::new();
    for mut spec in specs {
        let is_unreached = spec
            .pointer("/auth/token_url")
            .or(spec.pointer("/proxy"))
            .is_some();
        spec["name"] = json!(unique("planted"));
        spec["url"] = json!(format!("{}/hook", receiver.url()));
        spec["retry"] = json!({"initial_ms": 100, "max_ms": 200});
        // Its proxy is away, or its tokens come from a server that gives none: nothing is sent to it.
        if !is_unreached {
            spec["events"] = json!(["webhook.received"]);
        }
        let answer = api.call("POST", "/destinations?probe=false", Some(&spec)).await?;
        let made = answer.expect(201)?;
        if !is_unreached {
            let path = format!("/destinations/{}/test", text(&made, "/id")?);
            api.call("POST", &path, Some(&json!({}))).await?.expect(200)?;
            ids.push(text(&made, "/id")?);
        }
    }
    Ok(ids)
}

async fn all_dead(api: &Api, count: usize) -> anyhow::Result<()> {
    let dead = || async {
        let found = api.get("/deliveries?status=dead&limit=200").await.ok()?;
        (found["items"].as_array()?.len() == count).then_some(())
    };
    eventually(&format!("{count} deliveries are dead"), SOON * 2, dead).await
}

/// What the API answers to every GET that has something to answer, and what is logged and measured.
async fn shown_nowhere(own: &Stack, planted: &Planted) -> anyhow::Result<()> {
    let mut marked = 0;
    for list in [
        "sources",
        "destinations",
        "routes",
        "fetchers",
        "connections",
        "syncs",
        "events",
        "deliveries",
        "tokens",
        "audit",
        "stats",
    ] {
        let path = format!("/{list}?limit=200");
        let page = own.api.get(&path).await?;
        look(&path, page.to_string().as_bytes(), planted)?;
        for item in page["items"].as_array().into_iter().flatten() {
            let id = item["id"].as_str().unwrap_or_default();
            let mut paths = vec![format!("/{list}/{id}")];
            if list == "sources" {
                paths.extend(["status", "rejections", "api-keys"].map(|part| format!("/{list}/{id}/{part}")));
            }
            for path in paths.iter().filter(|_| list != "audit") {
                let shown = own.api.get(path).await?.to_string();
                look(path, shown.as_bytes(), planted)?;
                marked += usize::from(shown.contains(MARKER));
            }
        }
    }
    ensure!(marked > 0, "the marker is shown by the API");
    let exported = Command::new(hookrail_binary())
        .arg("export")
        .env("HOOKRAIL_API_URL", &own.api.api)
        .env("HOOKRAIL_TOKEN", &own.api.token)
        .output()?;
    look("the exported definitions", &exported.stdout, planted)?;
    ensure!(
        is_marked(&exported.stdout),
        "the marker is exported: {exported:?}"
    );
    let (logs, metrics) = (own.tails(1_000_000), own.metrics().await?);
    look("the logs", logs.as_bytes(), planted)?;
    ensure!(logs.contains(r#""level":"debug""#), "debug lines are logged");
    look("the metrics", metrics.as_bytes(), planted)?;
    ensure!(metrics.contains("hookrail_"), "the metrics are there");
    Ok(())
}

/// All that is on disk: the database, the streams, the logs.
fn stored_nowhere(own: &Stack, planted: &Planted) -> anyhow::Result<()> {
    let mut found = (false, false);
    for path in files(own.folder.path())? {
        // A file may go while it is looked at.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        look(&path.display().to_string(), &bytes, planted)?;
        let (is_database, marked) = (path.to_string_lossy().contains("hookrail.db"), is_marked(&bytes));
        found.0 |= marked && is_database;
        found.1 |= marked && !is_database;
    }
    if let Some(url) = own.database_url() {
        let rows = rows_of(url)?;
        look("the rows of PostgreSQL", &rows, planted)?;
        found.0 = is_marked(&rows);
    }
    ensure!(
        found == (true, true),
        "the marker is in the database and in the streams: {found:?}"
    );
    Ok(())
}

fn look(place: &str, bytes: &[u8], planted: &Planted) -> anyhow::Result<()> {
    match planted.found_in(bytes) {
        None => Ok(()),
        Some(secret) => anyhow::bail!("{secret} is in {place}"),
    }
}

fn files(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// All rows of all tables as text, bytes as what they say.
fn rows_of(url: &str) -> anyhow::Result<Vec<u8>> {
    let ask = |sql: &str| -> anyhow::Result<Vec<u8>> {
        let asked = Command::new("psql")
            .arg(url)
            .args(["-Atq", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .output();
        let asked = asked.context("psql can't be started")?;
        ensure!(
            asked.status.success(),
            "{}",
            String::from_utf8_lossy(&asked.stderr)
        );
        Ok(asked.stdout)
    };
    let tables = ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")?;
    let tables = String::from_utf8(tables)?;
    ensure!(tables.contains("secrets"), "{tables}");
    let mut rows = Vec::new();
    for table in tables.lines() {
        rows.extend(ask(&format!(
            "SET bytea_output = 'escape'; SELECT t::text FROM \"{table}\" t"
        ))?);
    }
    Ok(rows)
}
