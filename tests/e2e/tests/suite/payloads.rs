//! Real payloads of real senders, where the folder with them is present.

use std::{path::Path, sync::Arc};

use anyhow::ensure;
use hookrail_harness::{Stack, shared_folder};
use serde_json::json;

use crate::fixtures::source;

/// How many of them are sent, so that the suite stays short.
const MOST: usize = 120;

pub(crate) async fn real_payloads_come_out_byte_for_byte(stack: Arc<Stack>) -> anyhow::Result<()> {
    let Some(folder) = shared_folder() else {
        crate::say("SKIPPED: real payloads, since the folder with public samples is not beside the checkout");
        return Ok(());
    };
    let api = &stack.api;
    let source = source(api, json!({})).await?;
    let mut files = Vec::new();
    collect(&folder.join("payloads/zulip"), &mut files)?;
    files.sort();
    let step = (files.len() / MOST).max(1);
    let (mut taken, mut refused) = (0, 0);
    for file in files.iter().step_by(step) {
        let body = std::fs::read(file)?;
        let answer = api.send_json(&source.path, body.clone()).await?;
        if answer.status == 400 {
            ensure!(
                serde_json::from_slice::<serde_json::Value>(&body).is_err(),
                "{file:?}: {}",
                answer.text
            );
            refused += 1;
            continue;
        }
        let event = answer.expect(202)?["event_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let raw = api.call("GET", &format!("/events/{event}/raw"), None).await?;
        ensure!(
            raw.status == 200 && raw.text.as_bytes() == body,
            "{file:?}: {} {}",
            raw.status,
            raw.text
        );
        taken += 1;
    }
    ensure!(taken > MOST / 2, "{taken} taken, {refused} refused");
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    Ok(())
}
