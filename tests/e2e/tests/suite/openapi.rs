//! Requests made from the API's own document, well-formed and not, by a tool that knows nothing else of it:
//! each has to be answered as the document says.

use std::{path::Path, process::Command, sync::Arc};

use anyhow::{Context as _, ensure};
use hookrail_harness::{ADMIN_TOKEN, Api, Receiver, Stack, eventually, python};
use serde_json::json;

use crate::fixtures::{SOON, accepted, destination, entity, route, source, text, unique};

/// What is tried, and what is left out and why.
const SETTINGS: &str = include_str!("schemathesis.toml");
/// Which of the tool's phases run: coverage, with its ten thousand requests, takes as long as all else together. It
/// runs where it is asked for.
const PHASES: &str = "examples,fuzzing";
/// Lines of the tool's output that are told when it finds something.
const TOLD_LINES: usize = 400;

pub(crate) async fn requests_made_from_the_document_are_answered_as_it_says(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let own = stack.another(&[]).await?;
    let receiver = Receiver::start()?;
    let settings = own.folder.path().join("schemathesis.toml");
    std::fs::write(
        &settings,
        format!("{SETTINGS}{}", known_ids(&own.api, &receiver).await?),
    )?;
    let tool = Path::new(&python()).with_file_name("st");
    let token = format!("Authorization: Bearer {ADMIN_TOKEN}");
    let mut command = Command::new(tool);
    command.arg("--config-file").arg(&settings).arg("--no-color");
    command.args([
        "run",
        &format!("{}/api/openapi.json", own.api.api),
        "--url",
        &own.api.api,
    ]);
    // One worker: with more, the tool's generators fail at times by themselves.
    command.args(["--header", &token, "--workers", "1", "--continue-on-failure"]);
    // The first makes thousands of requests at the edges of each schema, the second fewer, deeper ones. Each
    // kind of installation has one of them, for the time that it takes.
    let phases = std::env::var("HOOKRAIL_TEST_SCHEMATHESIS_PHASES").unwrap_or_else(|_| PHASES.to_owned());
    command.args(["--phases", phases.as_str()]);
    command.current_dir(own.folder.path());
    let run = tokio::task::spawn_blocking(move || command.output()).await?;
    let run = run.context("schemathesis can't be started: `make tools` installs it")?;
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    ensure!(
        run.status.success(),
        "{}\n{}\n{}",
        lines[lines.len().saturating_sub(TOLD_LINES)..].join("\n"),
        String::from_utf8_lossy(&run.stderr),
        own.tails(20)
    );
    tell(own.kind, &lines);
    // It still answers, and all that was made can be listed.
    for list in [
        "sources",
        "destinations",
        "routes",
        "fetchers",
        "tokens",
        "workspaces",
        "audit",
    ] {
        own.api.get(&format!("/{list}?limit=200")).await?;
    }
    Ok(())
}

/// Settings by which reads and changes are about things that are there; deletions are not, so that they stay.
async fn known_ids(api: &Api, receiver: &Receiver) -> anyhow::Result<String> {
    let kind = unique("tried").replace('-', "_");
    let source = source(
        api,
        json!({"entity": {"type": kind, "unique_id": "$.id"}, "auth": {"type": "none"}}),
    )
    .await?;
    let target = destination(api, receiver, json!({"enabled": false})).await?;
    let route = route(api, &source, &target, &["entity.created"]).await?;
    let event = accepted(api, &source, r#"{"id": 7}"#).await?;
    entity(api, &kind, "7").await?;
    let delivery = || async {
        let found = api.get(&format!("/deliveries?event={event}")).await.ok()?;
        Some(found.pointer("/items/0/id")?.as_str()?.to_owned())
    };
    let delivery = eventually("a delivery", SOON, delivery).await?;
    let fetcher = json!({"name": unique("tried"), "type": kind, "url": "http://127.0.0.1:9/{{id}}", "unique_id": "$.id"});
    let made = async |path: &str, body| text(&api.create(path, body).await?, "/id");
    let key = made(
        &format!("/sources/{}/api-keys", source.id),
        json!({"label": "tried"}),
    )
    .await?;
    let ids = [
        ("sources", source.id.clone()),
        ("destinations", target),
        ("routes", route),
        ("fetchers", made("/fetchers", fetcher).await?),
        (
            "tokens",
            made("/tokens", json!({"label": "tried", "role": "viewer"})).await?,
        ),
        ("workspaces", made("/workspaces", json!({"code": "tried"})).await?),
        ("events", event),
        ("deliveries", delivery),
    ];
    let about = |path: &str, parameters: &str| {
        format!(
            "\n[[operations]]\ninclude-path-regex = \"^/api/v1/{path}\"\n\
             include-method = [\"GET\", \"POST\", \"PATCH\"]\nparameters = {{ {parameters} }}\n"
        )
    };
    let mut settings = about(
        "entities/",
        &format!("\"path.type\" = \"{kind}\", unique_id = \"7\""),
    );
    for (list, id) in ids {
        let more = if list == "sources" {
            format!(", key_id = \"{key}\"")
        } else {
            String::new()
        };
        settings.push_str(&about(&format!("{list}/"), &format!("id = \"{id}\"{more}")));
    }
    Ok(settings)
}

/// Operations, cases and failures, as the tool counts them.
#[expect(clippy::print_stderr, reason = "a test says its figures")]
fn tell(kind: &str, lines: &[&str]) {
    let summary = lines
        .iter()
        .rposition(|line| line.contains("SUMMARY"))
        .unwrap_or_default();
    for line in lines[summary..].iter().filter(|line| !line.trim().is_empty()) {
        eprintln!("{kind}: {line}");
    }
}
