//! Real payloads become entities by configuration alone: what is stored is compared with what a Python
//! script reads out of the same bytes, with nothing of the product in it.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use hookrail_harness::{Api, Stack, eventually, python, shared_folder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fixtures::{SOON, Source, source_at_once, unique};

/// How long some hundred events may take on a busy machine, seconds.
const MANY_SOON: u64 = 120;

/// Reads the bodies, and compares.
const SCRIPT: &str = include_str!("real_senders/read_entities.py");
/// Sources whose bodies are sent beside each other.
const AT_ONCE: usize = 8;

/// How a sender's payloads become entities.
#[derive(Clone, Deserialize)]
struct Rule {
    sender: String,
    filter: Option<Value>,
    entity: Value,
}

/// A body and how it is to be read: `json`, `form` or `xml`.
#[derive(Clone, Serialize, Deserialize)]
struct Body {
    file: PathBuf,
    kind: String,
}

/// What one sender's bodies came to, and what the script needs to say the same.
struct Sent {
    statuses: BTreeMap<String, usize>,
    given: Value,
}

/// What the script says.
#[derive(Deserialize)]
struct Read {
    statuses: Vec<String>,
    entities: usize,
    differences: Vec<String>,
}

pub(crate) async fn github_events_become_the_entities_that_an_independent_reading_finds(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let Some(folder) = shared_folder() else {
        return skip();
    };
    let own = tempfile::tempdir()?;
    let index = std::fs::read(folder.join("payloads/github/api.github.com/index.json"))?;
    let events: Vec<Value> = serde_json::from_slice(&index)?;
    let mut bodies = BTreeMap::new();
    for event in &events {
        let name = event["name"].as_str().context("an event's name")?;
        let examples = event["examples"].as_array().context("its examples")?;
        let written = examples.iter().enumerate().map(|(number, example)| {
            let file = own.path().join(format!("{name}-{number}.json"));
            std::fs::write(&file, serde_json::to_vec(example)?)?;
            anyhow::Ok(file)
        });
        bodies.insert(name.to_owned(), written.collect::<Result<Vec<_>, _>>()?);
    }
    let rules = serde_json::from_str(include_str!("real_senders/github.json"))?;
    compare_all(&stack, "GitHub", rules, bodies, own.path(), 320).await
}

pub(crate) async fn payloads_of_many_senders_become_the_entities_that_an_independent_reading_finds(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let Some(folder) = shared_folder() else {
        return skip();
    };
    let own = tempfile::tempdir()?;
    let rules: Vec<Rule> = serde_json::from_str(include_str!("real_senders/zulip.json"))?;
    let mut bodies = BTreeMap::new();
    for rule in &rules {
        let files = std::fs::read_dir(folder.join("payloads/zulip").join(&rule.sender))?;
        let mut files = files
            .map(|file| Ok(file?.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        files.sort();
        bodies.insert(rule.sender.clone(), files);
    }
    compare_all(&stack, "many senders", rules, bodies, own.path(), 400).await
}

fn skip() -> anyhow::Result<()> {
    crate::say(
        "SKIPPED: entities of real payloads, since the folder with public samples is not beside the checkout",
    );
    Ok(())
}

/// Sends each sender's bodies as they are, and once more as XML, to a source each.
async fn compare_all(
    stack: &Stack,
    what: &str,
    rules: Vec<Rule>,
    mut files: BTreeMap<String, Vec<PathBuf>>,
    own: &Path,
    least: usize,
) -> anyhow::Result<()> {
    let mut work = Vec::new();
    for rule in rules {
        let files = files.remove(&rule.sender).with_context(|| rule.sender.clone())?;
        work.push((rule, files.into_iter().map(as_it_is).collect()));
    }
    ensure!(files.is_empty(), "no rule for {:?}", files.keys());
    work.extend(in_xml(&work, own)?);
    // Boxed, since the compiler can't see that a stream of borrowing futures is `Send`.
    let sent: Vec<BoxFuture<'_, _>> = work
        .iter()
        .map(|(rule, bodies)| send_all(&stack.api, rule, bodies).boxed())
        .collect();
    let sent: Vec<Sent> = stream::iter(sent).buffered(AT_ONCE).try_collect().await?;
    let given: Vec<&Value> = sent.iter().map(|sent| &sent.given).collect();
    let read: Vec<Read> = serde_json::from_value(run(&[], &json!(given))?)?;
    let (mut bodies, mut entities, mut statuses) = (0, 0, BTreeMap::new());
    for ((rule, _), (sent, read)) in work.iter().zip(sent.iter().zip(&read)) {
        ensure!(
            read.differences.is_empty(),
            "{}: {:?}",
            rule.sender,
            read.differences
        );
        let expected = count(&read.statuses);
        ensure!(
            sent.statuses == expected,
            "{}: {:?}, and Python says {expected:?}",
            rule.sender,
            sent.statuses
        );
        bodies += read.statuses.len();
        entities += read.entities;
        for (status, count) in expected {
            *statuses.entry(status).or_insert(0) += count;
        }
    }
    crate::say(&format!(
        "{}: {what}: {bodies} bodies, half of them made XML, gave {entities} entities as Python reads them; {statuses:?}",
        stack.kind
    ));
    ensure!(bodies >= least && entities > 100, "too few of {what}");
    Ok(())
}

/// The same bodies made XML, and the rules for them.
fn in_xml(work: &[(Rule, Vec<Body>)], own: &Path) -> anyhow::Result<Vec<(Rule, Vec<Body>)>> {
    let mut given = Vec::new();
    for (rule, bodies) in work {
        let folder = own.join(format!("{}-xml", rule.sender));
        std::fs::create_dir_all(&folder)?;
        given.push(json!({"bodies": bodies, "folder": folder}));
    }
    let made: Vec<Vec<Body>> = serde_json::from_value(run(&["to-xml"], &json!(given))?)?;
    let rules = work.iter().map(|(rule, _)| below_the_root(rule));
    Ok(rules.zip(made).collect())
}

fn count(statuses: &[String]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for status in statuses {
        *counts.entry(status.clone()).or_insert(0) += 1;
    }
    counts
}

fn as_it_is(file: PathBuf) -> Body {
    let is_form = file.extension().is_some_and(|extension| extension == "txt");
    let kind = if is_form { "form" } else { "json" };
    Body {
        file,
        kind: kind.to_owned(),
    }
}

/// The same rule where the payload is below the root element.
fn below_the_root(rule: &Rule) -> Rule {
    let moved = |value: &Value| {
        let text = value.to_string().replace(r#""path":"$"#, r#""path":"$.event"#);
        serde_json::from_str(&text).unwrap_or_default()
    };
    Rule {
        sender: rule.sender.clone(),
        filter: rule.filter.as_ref().map(moved),
        entity: moved(&rule.entity),
    }
}

/// Sends the bodies one after the other, and gets what is stored then.
async fn send_all(api: &Api, rule: &Rule, bodies: &[Body]) -> anyhow::Result<Sent> {
    let kind = unique("real");
    let mut entity = rule.entity.clone();
    entity["type"] = json!(kind);
    let spec = json!({"entity": entity, "filter": rule.filter, "ordering": {"mode": "source"}});
    let source = source_at_once(api, spec)
        .await
        .with_context(|| rule.sender.clone())?;
    let mut answers = Vec::new();
    for body in bodies {
        answers.push(send(api, &source, body).await?);
    }
    let mut statuses = count(&answers);
    count_processed(api, &source, &mut statuses).await?;
    let listed = listed(api, &kind).await?;
    let given =
        json!({"rule": {"filter": rule.filter, "entity": entity}, "bodies": bodies, "listed": listed});
    Ok(Sent { statuses, given })
}

/// Sends a body: `accepted`, or `refused` where it is not well-formed.
async fn send(api: &Api, source: &Source, body: &Body) -> anyhow::Result<String> {
    let content_type = match body.kind.as_str() {
        "form" => "application/x-www-form-urlencoded",
        "xml" => "application/xml",
        _ => "application/json",
    };
    let bytes = std::fs::read(&body.file)?;
    let send = || async {
        let headers = [("content-type", content_type)];
        let answer = api.send(&source.path, &headers, bytes.clone()).await.ok()?;
        // The source may not be in force yet.
        (answer.status != 404).then_some(answer)
    };
    let answer = eventually("the source is in force", SOON, send).await?;
    match answer.status {
        202 => Ok("accepted".to_owned()),
        400 => Ok("refused".to_owned()),
        status => anyhow::bail!("{:?}: {status} {}", body.file, answer.text),
    }
}

/// Waits until all that was accepted is settled, and puts its statuses in the place of `accepted`.
async fn count_processed(
    api: &Api,
    source: &Source,
    statuses: &mut BTreeMap<String, usize>,
) -> anyhow::Result<()> {
    let accepted = statuses.remove("accepted").unwrap_or_default();
    let path = format!("/sources/{}/status", source.id);
    let status = eventually("all events are settled", MANY_SOON, || async {
        let status = api.get(&path).await.ok()?;
        (status["received"] == accepted && status["queued"] == 0).then_some(status)
    })
    .await?;
    for name in ["processed", "filtered", "failed"] {
        let count = status[name].as_u64().unwrap_or_default() as usize;
        if count > 0 {
            statuses.insert(name.to_owned(), count);
        }
    }
    Ok(())
}

/// The texts of all pages of a type's entities.
async fn listed(api: &Api, entity_type: &str) -> anyhow::Result<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/entities?type={entity_type}&limit=200{cursor}");
        let text = String::from_utf8(api.raw(&path).await?)?;
        let page: Value = serde_json::from_str(&text)?;
        pages.push(text);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(pages),
        }
    }
}

/// Runs the script.
fn run(arguments: &[&str], given: &Value) -> anyhow::Result<Value> {
    let mut script = Command::new(python())
        .args(["-c", SCRIPT])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("python can't be started")?;
    let mut input = script.stdin.take().context("its input")?;
    input.write_all(given.to_string().as_bytes())?;
    drop(input);
    let done = script.wait_with_output()?;
    ensure!(done.status.success(), "the script failed");
    Ok(serde_json::from_slice(&done.stdout)?)
}
