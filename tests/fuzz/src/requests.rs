//! Hostile requests against a `hookrail up` of its own: each is answered as it should be, the process goes
//! on, its memory stays bounded, and its counters add up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use hookrail_fuzz::SEED;
use hookrail_harness::{Stack, eventually};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::sync::Mutex;

use crate::hostile::{self, Hostile};
use crate::print;
use crate::raw_http::exchange;

/// Time-outs of the ingress under test, shorter than usual so that slow requests end soon, milliseconds.
const TIMEOUT_MS: &str = "3000";
/// Wrong answers that are shown.
const SHOWN_MAX: usize = 10;

/// What to send.
#[derive(clap::Args)]
pub(crate) struct Requests {
    /// Requests in all
    #[arg(long, default_value_t = 10_000)]
    requests: u64,
    /// Connections at a time
    #[arg(long, default_value_t = 32)]
    connections: u64,
    /// Another seed makes other requests
    #[arg(long, default_value_t = SEED)]
    seed: u64,
}

/// What came of a kind's requests: how many by status.
type Answers = BTreeMap<&'static str, BTreeMap<u16, u64>>;

/// Sends them all, and says what came of them.
///
/// # Errors
/// An answer was wrong, or the process did not bear it.
pub(crate) async fn run(wanted: &Requests) -> anyhow::Result<()> {
    let mut stack = Stack::up_with(&[
        ("HOOKRAIL_INGRESS_HEADER_TIMEOUT_MS", TIMEOUT_MS),
        ("HOOKRAIL_INGRESS_BODY_TIMEOUT_MS", TIMEOUT_MS),
    ])
    .await?;
    let source = stack.api.create("/sources", json!({"name": "hostile"})).await?;
    let pid = stack.process("up").context("it runs")?.pid();
    let before = peak_kib(pid);
    let sent = Arc::new(AtomicU64::new(0));
    let answers = Arc::new(Mutex::new(Answers::new()));
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let address = stack.api.ingress.trim_start_matches("http://").to_owned();
    let mut senders = tokio::task::JoinSet::new();
    for number in 0..wanted.connections {
        let sender = Sender {
            address: address.clone(),
            random: StdRng::seed_from_u64(wanted.seed.wrapping_add(number)),
            sent: Arc::clone(&sent),
            most: wanted.requests,
            answers: Arc::clone(&answers),
            wrong: Arc::clone(&wrong),
        };
        senders.spawn(sender.run());
    }
    while let Some(ended) = senders.join_next().await {
        ended?;
    }
    let answers = answers.lock().await;
    for (kind, statuses) in answers.iter() {
        print(&format!("{kind:<22} {statuses:?}"));
    }
    let after = peak_kib(pid);
    print(&format!("peak memory: {before} KiB before, {after} KiB after"));
    for shown in wrong.lock().await.iter().take(SHOWN_MAX) {
        print(shown);
    }
    let id = source["id"].as_str().context("a source has an id")?;
    count_up(&stack, id, &answers).await?;
    let wrong = wrong.lock().await.len();
    anyhow::ensure!(wrong == 0, "{wrong} wrong answers");
    print("every answer was right, and every accepted event is accounted for");
    Ok(())
}

/// One connection after another.
struct Sender {
    address: String,
    random: StdRng,
    sent: Arc<AtomicU64>,
    most: u64,
    answers: Arc<Mutex<Answers>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Sender {
    async fn run(mut self) {
        while self.sent.fetch_add(1, Ordering::Relaxed) < self.most {
            let request = hostile::draw(&mut self.random);
            self.send(&request).await;
        }
    }

    async fn send(&self, request: &Hostile) {
        let answered = exchange(&self.address, &request.pieces, request.pause, request.is_cut).await;
        let (status, text) = match answered {
            Ok(answer) => (answer.status, answer.text),
            Err(error) => (u16::MAX, error.to_string()),
        };
        let mut answers = self.answers.lock().await;
        *answers
            .entry(request.kind)
            .or_default()
            .entry(status)
            .or_default() += 1;
        // What was understood as a request is refused with a document that says why.
        let told = !(400..500).contains(&status)
            || matches!(status, 400 | 408 | 431)
            || text.contains("application/problem+json");
        if !request.right.holds(status) || !told {
            let begin: String = String::from_utf8_lossy(&request.pieces.concat())
                .chars()
                .take(300)
                .collect();
            let shown = format!("{}: {status} {text:.200} to {begin:?}", request.kind);
            self.wrong.lock().await.push(shown);
        }
    }
}

/// The most memory that the process ever had, KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

/// Every request that was answered 202 is an event, and each of those comes to an end.
async fn count_up(stack: &Stack, source: &str, answers: &Answers) -> anyhow::Result<()> {
    let accepted: u64 = answers.values().filter_map(|statuses| statuses.get(&202)).sum();
    let counted = || async {
        let status = stack.api.get(&format!("/sources/{source}/status")).await.ok()?;
        let count = |name: &str| status[name].as_u64().unwrap_or(0);
        let ended = count("processed") + count("filtered") + count("failed") + count("duplicate");
        // A request whose answer was lost on the way is an event all the same.
        (ended >= accepted && count("queued") == 0 && count("received") == ended)
            .then(|| (ended, count("failed")))
    };
    let (ended, failed) = eventually("all accepted events have ended", 60, counted).await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    print(&format!(
        "accepted: {accepted}, events ended: {ended}, failed: {failed}"
    ));
    Ok(())
}
