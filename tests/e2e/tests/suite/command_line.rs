//! The command line against a running installation: definitions as code, daily work, listening.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use hookrail_harness::{Api, Receiver, Stack, hookrail_binary};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::fixtures::{SOON, accepted, destination, route, settled_event, source, text, unique};

/// What a command printed, and its exit code.
struct Printed {
    out: String,
    err: String,
    code: i32,
}

impl Printed {
    /// What it printed, where it ended with this code.
    fn ended_with(self, code: i32) -> anyhow::Result<Self> {
        ensure!(
            self.code == code,
            "ended with {}:\n{}\n{}",
            self.code,
            self.out,
            self.err
        );
        Ok(self)
    }

    fn documents(&self) -> anyhow::Result<Vec<Value>> {
        self.out
            .lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }
}

fn command(api: &Api, args: &[&str]) -> Command {
    let mut command = Command::new(hookrail_binary());
    command
        .args(args)
        .env("HOOKRAIL_API_URL", &api.api)
        .env("HOOKRAIL_TOKEN", &api.token)
        .env("CRM_TOKEN", "crm-0123456789-abcd")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn run(api: &Api, args: &[&str]) -> anyhow::Result<Printed> {
    let output =
        tokio::time::timeout(std::time::Duration::from_secs(SOON), command(api, args).output()).await??;
    Ok(Printed {
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
        code: output.status.code().context("an exit code")?,
    })
}

fn written(folder: &Path, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join("hooks.yaml");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// A file that defines all that belongs together; `{team}` makes its names its own.
fn file(team: &str, receiver: &str) -> String {
    format!(
        "
sources:
  - name: shop-{team}
    labels: {{team: {team}}}
    paused: true
    entity: {{type: user-{team}, build: fetcher, fetcher: users-{team}, unique_id: $.id}}
fetchers:
  - name: users-{team}
    labels: {{team: {team}}}
    type: user-{team}
    url: '{receiver}/users/{{{{id}}}}'
    unique_id: $.id
destinations:
  - name: crm-{team}
    labels: {{team: {team}}}
    url: {receiver}/hook
    auth: {{type: bearer, token: '${{CRM_TOKEN}}'}}
    retry: {{max_attempts: 3}}
routes:
  - name: shop-to-crm-{team}
    labels: {{team: {team}}}
    source: shop-{team}
    destination: crm-{team}
    paused: true
    filter: {{all: [{{path: $.order, op: gt, value: 9007199254740993}}]}}
"
    )
}

pub(crate) async fn definitions_are_made_as_a_file_says_and_no_more_is_changed(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let (api, receiver, team) = (&stack.api, Receiver::start()?, unique("team"));
    let folder = tempfile::tempdir()?;
    let path = written(folder.path(), &file(&team, receiver.url()))?;
    let path = path.to_str().context("a path")?;
    let prune = format!("team={team}");
    let apply = ["apply", "--file", path, "--prune", &prune];
    let signs = |printed: &Printed| -> Vec<String> {
        printed
            .out
            .lines()
            .filter(|line| !line.starts_with(' '))
            .map(|line| line[..1].to_owned())
            .collect()
    };

    // A plan changes nothing.
    let plan = run(api, &[&apply[..], &["--dry-run", "--exit-code"]].concat())
        .await?
        .ended_with(2)?;
    ensure!(signs(&plan) == ["+"; 4], "{}", plan.out);
    ensure!(run(api, &["sources", "get", &format!("shop-{team}")]).await?.code == 1);
    let made = run(api, &apply).await?.ended_with(0)?;
    ensure!(
        signs(&made) == ["+"; 4] && made.err.contains("4 of 4 changes made"),
        "{}{}",
        made.out,
        made.err
    );
    for kind in ["sources", "routes"] {
        let listed = api.get(&format!("/{kind}?limit=200")).await?;
        let mut ours = listed["items"].as_array().into_iter().flatten();
        let one = ours.find(|one| one["labels"]["team"] == team);
        ensure!(one.is_some_and(|one| one["paused"] == true), "{kind}: {one:?}");
    }
    let again = run(api, &[&apply[..], &["--dry-run", "--exit-code"]].concat())
        .await?
        .ended_with(0)?;
    ensure!(signs(&again) == ["="; 4], "{}", again.out);

    // What somebody changed by hand is put back, what is taken out of the file goes, and nothing else does.
    let listed = run(api, &["destinations", "list", "--json"])
        .await?
        .ended_with(0)?
        .documents()?;
    let crm = listed
        .iter()
        .find(|one| one["name"] == format!("crm-{team}"))
        .context("the destination")?;
    ensure!(crm["auth"]["token"]["hint"] == "…abcd", "{crm}");
    let by_hand = json!({"timeout_ms": 5000, "retry": {"max_attempts": 9}});
    let of_crm = format!("/destinations/{}?probe=false", text(crm, "/id")?);
    api.call("PATCH", &of_crm, Some(&by_hand)).await?.expect(200)?;
    let text_of = file(&team, receiver.url());
    written(folder.path(), text_of.split("routes:").next().unwrap_or_default())?;
    let put_back = run(api, &apply).await?.ended_with(0)?;
    ensure!(signs(&put_back) == ["=", "=", "~", "-"], "{}", put_back.out);
    ensure!(
        put_back.out.contains("timeout_ms: 5000 -> 15000"),
        "{}",
        put_back.out
    );
    ensure!(
        put_back.out.contains("retry.max_attempts: 9 -> 3"),
        "{}",
        put_back.out
    );
    let now = api.get(&of_crm).await?;
    ensure!(
        now["timeout_ms"] == 15000 && now["retry"]["max_attempts"] == 3,
        "{now}"
    );

    // What is exported is what is there.
    let exported = folder.path().join("exported.yaml");
    let exported = exported.to_str().context("a path")?;
    run(api, &["export", "--label", &prune, "--output", exported])
        .await?
        .ended_with(0)?;
    ensure!(
        !std::fs::read_to_string(exported)?.contains("crm-0123456789"),
        "a secret is shown"
    );
    let same = run(api, &["apply", "--file", exported, "--dry-run", "--exit-code"])
        .await?
        .ended_with(0)?;
    ensure!(signs(&same) == ["="; 3], "{}", same.out);

    // What is wrong is named with its place, before anything is changed.
    for (wrong, fault) in [
        ("sources: [{name: a, metods: [POST]}]", "metods"),
        (
            "routes: [{name: a, source: nobody}]",
            "/routes/0/source: there is no source \"nobody\"",
        ),
        (
            "sources: [{name: a, description: '${NOT_SET_ANYWHERE}'}]",
            "NOT_SET_ANYWHERE",
        ),
    ] {
        written(folder.path(), wrong)?;
        let refused = run(api, &["apply", "--file", path]).await?.ended_with(64)?;
        ensure!(refused.err.contains(fault), "{wrong}: {}", refused.err);
    }
    let refused = format!("destinations: [{{name: x-{team}, url: 'http://127.0.0.1:1/'}}]");
    written(folder.path(), &refused)?;
    let refused = run(api, &["apply", "--file", path]).await?.ended_with(1)?;
    ensure!(
        refused.err.contains("Connection refused") && refused.err.contains("0 of 1"),
        "{}",
        refused.err
    );

    let schema = run(api, &["schema"]).await?.ended_with(0)?;
    let schema: Value = serde_json::from_str(&schema.out)?;
    ensure!(schema["properties"]["routes"]["items"].is_object(), "{schema}");
    ensure!(
        !schema.to_string().contains("#/components/"),
        "a reference leads nowhere"
    );
    Ok(())
}

pub(crate) async fn daily_work_is_done_from_a_terminal(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let kind = unique("order");
    let source = source(
        api,
        json!({"entity": {"type": kind, "unique_id": "$.id", "title": "$.name"}}),
    )
    .await?;
    let destination = destination(api, &receiver, json!({})).await?;
    route(api, &source, &destination, &[]).await?;
    let event = accepted(api, &source, r#"{"id": 9007199254740993, "name": "Ann"}"#).await?;
    settled_event(api, &event).await?;
    let name = source.path.rsplit('/').next().context("a name")?;

    let check = async |args: &[&str], holds: &str| {
        let printed = run(api, args).await?.ended_with(0)?;
        ensure!(printed.out.contains(holds), "{args:?}: {}", printed.out);
        anyhow::Ok(printed)
    };
    check(&["sources", "list"], &source.id).await?;
    check(&["sources", "status", name], "\"processed\": 1").await?;
    check(&["events", "list", "--source", name], &event).await?;
    check(&["events", "get", &event], "9007199254740993").await?;
    let raw = check(&["events", "raw", &event], "").await?;
    ensure!(
        raw.out == r#"{"id": 9007199254740993, "name": "Ann"}"#,
        "{}",
        raw.out
    );
    check(
        &["entities", "list", "--type", &kind, "--query", "ann"],
        "9007199254740993",
    )
    .await?;
    check(
        &["entities", "get", &kind, "9007199254740993"],
        "\"title\": \"Ann\"",
    )
    .await?;
    check(&["destinations", "test", &destination], "204").await?;
    let found = check(&["deliveries", "list", "--event", &event, "--json"], "dlv_").await?;
    let delivery = text(&found.documents()?[0], "/id")?;
    check(&["deliveries", "get", &delivery], "attempts").await?;
    let dry = check(&["events", "replay", "--source", name, "--dry-run", "--json"], "").await?;
    ensure!(dry.documents()?[0]["count"] == 1, "{}", dry.out);
    let before = receiver.count();
    check(&["events", "replay", &event], "\"replayed\": 1").await?;
    receiver.wait_for(before + 1, 20).await?;
    check(&["completion", "bash"], "hookrail").await?;

    // What goes wrong ends with an error that says what.
    for (args, code, says) in [
        (
            &["sources", "get", "nobody"][..],
            1,
            "there is no source \"nobody\"",
        ),
        (&["events", "replay"], 64, "say which"),
        (&["events", "get", "evt_1"], 1, "404"),
        (&["events", "list", "--status", "lost"], 1, "status"),
    ] {
        let refused = run(api, args).await?.ended_with(code)?;
        ensure!(refused.err.contains(says), "{args:?}: {}", refused.err);
    }
    let nobody = Api::new("http://127.0.0.1:1", &api.ingress, &api.token);
    let unreachable = run(&nobody, &["sources", "list"]).await?.ended_with(1)?;
    ensure!(
        unreachable.err.contains("Is Hookrail running?"),
        "{}",
        unreachable.err
    );
    run(api, &["sources", "disable", name]).await?.ended_with(0)?;
    ensure!(api.get(&format!("/sources/{}", source.id)).await?["enabled"] == false);
    Ok(())
}

pub(crate) async fn a_developer_gets_the_webhooks_of_a_source(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, local) = (&stack.api, Receiver::start()?);
    // In one partition, so that they are processed in the order of acceptance.
    let source = source(api, json!({"ordering": {"mode": "source"}})).await?;
    let to = format!("{}/webhooks", local.url());
    let mut listening = command(
        api,
        &["listen", "--source", &source.id, "--to", &to, "--count", "5"],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::null())
    .spawn()?;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let mut events = Vec::new();
    for number in 0..5 {
        let body = format!("{{\"n\": {number},  \"spaces\":  true}}");
        let path = format!("{}?n={number}&a=b%20c", source.path);
        events.push(text(
            &api.send_json(&path, body).await?.expect(202)?,
            "/event_id",
        )?);
    }
    let arrived = local.wait_for(5, 20).await?;
    for (number, (arrival, event)) in arrived.iter().zip(&events).enumerate() {
        ensure!(
            arrival.text() == format!("{{\"n\": {number},  \"spaces\":  true}}"),
            "{}",
            arrival.text()
        );
        ensure!(
            arrival.path == format!("/webhooks?n={number}&a=b%20c"),
            "{}",
            arrival.path
        );
        ensure!(
            arrival.header("hookrail-event-id") == event
                && arrival.header("content-type") == "application/json"
        );
    }
    let ended = tokio::time::timeout(std::time::Duration::from_secs(SOON), listening.wait()).await??;
    ensure!(ended.success(), "{ended}");
    Ok(())
}
