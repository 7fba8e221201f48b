//! Backups of `hookrail up` and of a cluster, and an installation made of each.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, ensure};
use hookrail_harness::{
    Api, NatsServer, Receiver, Reply, Stack, create_database, dump_database, eventually, hookrail_binary,
    restore_database,
};
use serde_json::json;
use tokio::process::Command;

use crate::fixtures::{SOON, Source, accepted, destination, entity, route, settled_event, source, unique};

/// Webhooks that wait in the backup.
const WAITING: usize = 20;
/// Webhooks that are processed after a cluster's database was copied, and before its log is.
const BETWEEN: usize = 5;

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

/// An installation with webhooks that wait for their receiver.
struct Waiting {
    receiver: Receiver,
    receiver_is_well: Arc<AtomicBool>,
    source: Source,
    kind: String,
    sent: usize,
}

impl Waiting {
    async fn make(api: &Api) -> anyhow::Result<Self> {
        let receiver_is_well = Arc::new(AtomicBool::new(true));
        let well = Arc::clone(&receiver_is_well);
        let receiver = Receiver::with_script(move |_| {
            Reply::status(if well.load(Ordering::SeqCst) { 200 } else { 500 })
        })?;
        let kind = unique("order");
        let rules = json!({"type": kind, "unique_id": "$.id", "title": "$.name"});
        let source = source(api, json!({"entity": rules, "ordering": {"mode": "source"}})).await?;
        let spec = json!({"ordering": "key", "retry": {"initial_ms": 500, "max_ms": 1000}, "format": "raw"});
        let crm = destination(api, &receiver, spec).await?;
        receiver_is_well.store(false, Ordering::SeqCst);
        route(api, &source, &crm, &[]).await?;
        Ok(Self {
            receiver,
            receiver_is_well,
            source,
            kind,
            sent: 0,
        })
    }

    /// Sends so many webhooks, numbered on, and waits until they are processed.
    async fn send(&mut self, api: &Api, count: usize) -> anyhow::Result<()> {
        let mut last = String::new();
        for number in self.sent..self.sent + count {
            let body = format!(r#"{{"id": {number}, "name": "n{number}"}}"#);
            last = accepted(api, &self.source, &body).await?;
        }
        self.sent += count;
        settled_event(api, &last).await.map(drop)
    }

    /// Of the restored installation: what waited arrives in order, and before what comes now.
    async fn all_arrive(&mut self, api: &Api) -> anyhow::Result<()> {
        entity(api, &self.kind, "7").await?;
        self.receiver_is_well.store(true, Ordering::SeqCst);
        self.send(api, 1).await?;
        let first_arrivals = || -> Vec<usize> {
            let mut seen = BTreeSet::new();
            let arrivals = self.receiver.arrivals().into_iter();
            let taken = arrivals.filter(|arrival| arrival.answered == 200);
            taken
                .filter(|arrival| seen.insert(arrival.header("webhook-id").to_owned()))
                .filter_map(|arrival| usize::try_from(arrival.json()["id"].as_u64()?).ok())
                .collect()
        };
        let enough = || async { (first_arrivals().len() >= self.sent).then_some(()) };
        let all = eventually("all are delivered", SOON, enough).await;
        let arrived = first_arrivals();
        ensure!(arrived == (0..self.sent).collect::<Vec<_>>(), "{arrived:?}");
        all
    }
}

pub(crate) async fn what_waits_in_a_backup_is_delivered_by_what_is_made_of_it(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let mut own = stack.another(&[]).await?;
    let mut waiting = Waiting::make(&own.api).await?;
    waiting.send(&own.api, WAITING).await?;
    match own.nats {
        None => back_up_one_process(&mut own).await?,
        Some(_) => back_up_a_cluster(&mut own, &mut waiting).await?,
    }
    let ended = waiting.all_arrive(&own.api).await;
    ended.map_err(|error| error.context(own.tails(30)))
}

/// A dump of the database while all runs, then a copy of the log: what was processed between the two is
/// processed again.
async fn back_up_a_cluster(own: &mut Stack, waiting: &mut Waiting) -> anyhow::Result<()> {
    let (dump, copy) = (
        own.folder.path().join("dump"),
        own.folder.path().join("nats-copy"),
    );
    dump_database(own.database_url().context("a database")?, &dump)?;
    waiting.send(&own.api, BETWEEN).await?;
    own.nats.as_mut().context("a nats-server")?.kill();
    copy_folder(&own.folder.path().join("nats"), &copy).await?;
    let name = unique("hookrail_e2e_restored").replace('-', "_");
    let database = create_database(&name)?.context("a database")?;
    restore_database(&database, &dump)?;
    own.start_on(NatsServer::start(&copy).await?, database).await
}

async fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = Command::new("cp").arg("-r").args([from, to]).status().await?;
    ensure!(copied.success(), "{} is not copied", from.display());
    Ok(())
}

async fn back_up_one_process(own: &mut Stack) -> anyhow::Result<()> {
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
    copy_folder(&backup, &damaged).await?;
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
    own.start_up().await
}
