//! Real payloads of real senders, and the JSON test suite, where the folder with them is present.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::ensure;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use hookrail_harness::{Api, Stack, shared_folder};
use serde_json::json;

use crate::fixtures::source;

/// Requests under way at once.
const AT_ONCE: usize = 16;

/// What became of one file.
enum Sent {
    Taken,
    Refused,
}

pub(crate) async fn real_payloads_come_out_byte_for_byte(stack: Arc<Stack>) -> anyhow::Result<()> {
    let Some(folder) = shared_folder() else {
        crate::say("SKIPPED: real payloads, since the folder with public samples is not beside the checkout");
        return Ok(());
    };
    let api = &stack.api;
    let source = source(api, json!({"max_body_bytes": 32 << 20})).await?;
    let mut files = Vec::new();
    collect(&folder.join("payloads"), &mut files)?;
    let path = &source.path;
    // Boxed, since the compiler can't see that a stream of borrowing futures is `Send`.
    let sent: Vec<BoxFuture<'_, _>> = files.iter().map(|file| send(api, path, file).boxed()).collect();
    let sent: Vec<Sent> = stream::iter(sent).buffer_unordered(AT_ONCE).try_collect().await?;
    let taken = sent.iter().filter(|sent| matches!(sent, Sent::Taken)).count();
    crate::say(&format!(
        "{}: of {} real payloads {taken} came out byte for byte, {} are no JSON",
        stack.kind,
        files.len(),
        files.len() - taken
    ));
    ensure!(
        files.len() > 100 && taken * 10 > files.len() * 9,
        "{taken} of {}",
        files.len()
    );
    Ok(())
}

/// Sends a file, and compares what comes out; one that says to be JSON and is none is refused.
async fn send(api: &Api, path: &str, file: &Path) -> anyhow::Result<Sent> {
    let body = std::fs::read(file)?;
    let is_json = file.extension().is_some_and(|extension| extension == "json");
    let content_type = if is_json {
        "application/json"
    } else {
        "application/octet-stream"
    };
    let answer = api
        .send(path, &[("content-type", content_type)], body.clone())
        .await?;
    if answer.status == 400 {
        let is_wrong = serde_json::from_slice::<serde_json::Value>(&body).is_err();
        ensure!(is_json && is_wrong, "{file:?}: {}", answer.text);
        return Ok(Sent::Refused);
    }
    let event = answer.expect(202)?["event_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let raw = api.raw(&format!("/events/{event}/raw")).await?;
    ensure!(raw == body, "{file:?}: {} bytes of {}", raw.len(), body.len());
    Ok(Sent::Taken)
}

pub(crate) async fn json_is_taken_and_refused_as_the_test_suite_says(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let Some(folder) = shared_folder() else {
        crate::say("SKIPPED: JSONTestSuite, since the folder with it is not beside the checkout");
        return Ok(());
    };
    let api = &stack.api;
    let source = source(api, json!({})).await?;
    let mut files = Vec::new();
    collect(&folder.join("conformance/json/test_parsing"), &mut files)?;
    let check = async |file: &PathBuf| {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let answer = api.send_json(&source.path, std::fs::read(file)?).await?;
        let expected: &[u16] = match name.split_once('_') {
            Some(("y", _)) => &[202],
            Some(("n", _)) => &[400],
            _ => &[202, 400],
        };
        ensure!(
            expected.contains(&answer.status),
            "{name}: {} {}",
            answer.status,
            answer.text
        );
        anyhow::Ok(expected.len() == 1)
    };
    let mut decided = 0;
    for file in &files {
        decided += usize::from(check(file).await?);
    }
    crate::say(&format!(
        "{}: {decided} of {} files of JSONTestSuite decide",
        stack.kind,
        files.len()
    ));
    ensure!(decided > 250, "{decided} of {}", files.len());
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_none_or(|extension| extension != "md") {
            files.push(path);
        }
    }
    Ok(())
}
