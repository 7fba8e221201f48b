//! Request-response through the whole product: `hookrail up` with its nats-server and SQLite, a destination
//! in this process that answers at once, and beside it a bare handler that does nothing but answer.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use hookrail_harness::{Stack, eventually};
use serde_json::json;

use crate::{
    cpu, ingress,
    load::{self, Post},
    print,
    sink::{self, Arrivals, BODY_HEAD},
};

/// What the destination answers.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 26\r\n\r\n{\"price\":1.10,\"stock\":120}";
/// How long an answer is looked for at a time.
const FIRST_TRY: Duration = Duration::from_millis(200);
/// Seconds of load before any is measured, for each number of connections.
const WARM_UP: Duration = Duration::from_secs(2);

/// Measures and prints.
pub(crate) async fn measure(time: Duration, connections: &[usize]) -> anyhow::Result<()> {
    let stack = Stack::up().await?;
    define(&stack).await?;
    let address = stack.api.ingress.trim_start_matches("http://").to_owned();
    let pid = stack.processes.first().context("a process")?.1.pid();
    let folder = tempfile::tempdir()?;
    let bare = ingress::bare(folder.path()).await?;
    // With what the destination's sink takes for a time.
    let body = format!("{BODY_HEAD}{},\"item\":\"42\"}}", sink::now_us());
    let through = Post {
        address: &address,
        path: "/default/bench",
        headers: "",
        body: body.as_bytes(),
        wanted: 200,
    };
    let to_bare = Post {
        address: &bare.address,
        path: "/",
        wanted: 202,
        ..through
    };
    let answers = || async {
        let seen = load::run(through, 1, FIRST_TRY);
        seen.await.ok().filter(|seen| seen.accepted > 0).map(drop)
    };
    eventually("an answer of the destination", 30, answers).await?;
    print("                        connections  answers/s  cpu µs   p50 ms   p99 ms  other");
    for &connections in connections {
        line("bare handler", to_bare, bare.child.pid(), connections, time).await?;
        line("through hookrail up", through, pid, connections, time).await?;
    }
    Ok(())
}

async fn line(
    name: &str,
    post: Post<'_>,
    pid: u32,
    connections: usize,
    time: Duration,
) -> anyhow::Result<()> {
    load::run(post, connections, WARM_UP).await?;
    let before = cpu::seconds_with_children(pid);
    let mut seen = load::run(post, connections, time).await?;
    let used = cpu::seconds_with_children(pid) - before;
    print(&format!(
        "{name:24} {connections:>10} {:>10.0} {:>7.0} {:>8.2} {:>8.2} {:>6}",
        seen.per_second(),
        used * 1e6 / seen.accepted.max(1) as f64,
        seen.quantile_ms(0.5),
        seen.quantile_ms(0.99),
        seen.other
    ));
    Ok(())
}

async fn define(stack: &Stack) -> anyhow::Result<()> {
    let receiver = sink::start_answering(Arc::new(Arrivals::default()), ANSWER).await?;
    let api = &stack.api;
    let waits = json!({"name": "bench", "request_response": {"enabled": true, "timeout_ms": 30_000}});
    let source = api.create("/sources", waits).await?;
    let destination = json!({
        "name": "bench", "url": format!("http://{receiver}/"), "format": "raw", "signing": {"type": "none"},
        "max_in_flight": 128
    });
    let destination = api.create("/destinations?probe=connect", destination).await?;
    let route =
        json!({"name": "bench", "source": source["id"], "destination": destination["id"], "respond": true});
    api.create("/routes", route).await.map(drop)
}
