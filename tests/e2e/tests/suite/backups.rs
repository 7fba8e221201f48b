//! A backup of `hookrail up`, and an installation made of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use hookrail_harness::{Receiver, Reply, Stack, hookrail_binary};
use serde_json::json;
use tokio::process::Command;

use crate::fixtures::{SOON, accepted, destination, entity, route, settled_event, source, unique};

/// Webhooks that wait in the backup.
const WAITING: usize = 20;

async fn hookrail(args: &[&str]) -> anyhow::Result<(i32, String)> {
    let output = Command::new(hookrail_binary()).args(args).output().await?;
    let text = [output.stdout, output.stderr].concat();
    Ok((
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

fn text_of(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

pub(crate) async fn what_waits_in_a_backup_is_delivered_by_what_is_made_of_it(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    if stack.nats.is_some() {
        // The four services have a database and a broker that are backed up by their own means.
        return Ok(());
    }
    let mut own = stack.another(&[]).await?;
    let is_well = Arc::new(AtomicBool::new(true));
    let well = Arc::clone(&is_well);
    let receiver =
        Receiver::with_script(move |_| Reply::status(if well.load(Ordering::SeqCst) { 200 } else { 500 }))?;
    let kind = unique("order");
    let rules = json!({"type": kind, "unique_id": "$.id", "title": "$.name"});
    let source = source(&own.api, json!({"entity": rules, "ordering": {"mode": "source"}})).await?;
    let spec = json!({"ordering": "key", "retry": {"initial_ms": 500, "max_ms": 1000}, "format": "raw"});
    let crm = destination(&own.api, &receiver, spec).await?;
    is_well.store(false, Ordering::SeqCst);
    route(&own.api, &source, &crm, &[]).await?;
    let mut last = String::new();
    for number in 0..WAITING {
        last = accepted(
            &own.api,
            &source,
            &format!("{{\"id\": {number}, \"name\": \"n{number}\"}}"),
        )
        .await?;
    }
    settled_event(&own.api, &last).await?;

    let (data, backup) = (own.folder.path().join("data"), own.folder.path().join("backup"));
    let (code, text) = hookrail(&[
        "backup",
        "--data-dir",
        text_of(&data),
        "--output",
        text_of(&backup),
    ])
    .await?;
    ensure!(
        code == 64 && text.contains("another `hookrail up` uses it"),
        "{code}: {text}"
    );
    own.kill("up");
    let (code, text) = hookrail(&[
        "backup",
        "--data-dir",
        text_of(&data),
        "--output",
        text_of(&backup),
    ])
    .await?;
    ensure!(code == 0, "{code}: {text}");

    // A backup that is not as it was written makes nothing.
    let damaged = own.folder.path().join("damaged");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(&backup)
        .arg(&damaged)
        .status()
        .await?;
    ensure!(copied.success());
    let mut database = std::fs::read(damaged.join("hookrail.db"))?;
    let middle = database.len() / 2;
    database[middle] ^= 1;
    std::fs::write(damaged.join("hookrail.db"), database)?;
    std::fs::rename(&data, own.folder.path().join("lost"))?;
    let (code, text) = hookrail(&[
        "restore",
        "--input",
        text_of(&damaged),
        "--data-dir",
        text_of(&data),
    ])
    .await?;
    ensure!(
        code == 1 && text.contains("not as it was written") && !data.exists(),
        "{code}: {text}"
    );

    let restore = [
        "restore",
        "--input",
        text_of(&backup),
        "--data-dir",
        text_of(&data),
    ];
    let (code, text) = hookrail(&restore).await?;
    ensure!(code == 0, "{code}: {text}");
    let (code, text) = hookrail(&restore).await?;
    ensure!(code == 64 && text.contains("is not empty"), "{code}: {text}");
    is_well.store(true, Ordering::SeqCst);
    own.start_up().await?;
    let api = &own.api;
    entity(api, &kind, "7").await?;
    accepted(api, &source, &format!("{{\"id\": {WAITING}, \"name\": \"new\"}}")).await?;
    let bodies = || -> Vec<i64> {
        let delivered = receiver
            .arrivals()
            .into_iter()
            .filter(|arrival| arrival.answered == 200);
        delivered
            .filter_map(|arrival| arrival.json()["id"].as_i64())
            .collect()
    };
    hookrail_harness::eventually("all are delivered", SOON, || async {
        (bodies().len() > WAITING).then_some(())
    })
    .await?;
    ensure!(
        bodies() == (0..=i64::try_from(WAITING)?).collect::<Vec<_>>(),
        "{:?}",
        bodies()
    );
    Ok(())
}
