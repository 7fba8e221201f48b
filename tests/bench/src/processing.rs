//! Events from the ingress through the processor into the store: `hookrail up` with its nats-server, on
//! SQLite and, where `HOOKRAIL_TEST_POSTGRES_URL` names a server, on PostgreSQL. As many events as there
//! are go in at once; the clock stops when the last one's transaction is committed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hookrail_harness::{Stack, create_database};
use serde_json::{Value, json};

use crate::{cpu, load, print};

/// Size of each body, bytes, roughly.
const BODY_BYTES: usize = 1024;
/// Entities that the events are about.
const ENTITIES: u64 = 20_000;
/// Connections of the sender.
const CONNECTIONS: usize = 64;
/// How often the source is asked how far it is.
const POLL: Duration = Duration::from_millis(100);
/// How long all events may take to be processed.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measures and prints.
pub(crate) async fn measure(events: u64) -> anyhow::Result<()> {
    print(&format!(
        "{events} events of {BODY_BYTES} B, of {ENTITIES} entities, {CONNECTIONS} connections:"
    ));
    print("store       entities/event  accepted/s  processed/s  hookrail µs  nats µs  postgres µs");
    for entities in [0, 1, 10] {
        on(&Stack::up().await?, "SQLite", entities, events).await?;
    }
    for entities in [0, 1, 10] {
        let Some(url) = create_database(&format!("hookrail_bench_{entities}"))? else {
            print("no HOOKRAIL_TEST_POSTGRES_URL: PostgreSQL is left out");
            return Ok(());
        };
        let stack = Stack::up_with(&[("HOOKRAIL_DATABASE_URL", &url)]).await?;
        on(&stack, "PostgreSQL", entities, events).await?;
    }
    Ok(())
}

async fn on(stack: &Stack, store: &str, entities: u64, events: u64) -> anyhow::Result<()> {
    // What has ten times the entities is measured with fewer events.
    let events = if entities > 1 { events / 4 } else { events };
    let source = stack.api.create("/sources", definition(entities)).await?;
    // Within this time it is in force.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let address = stack.api.ingress.trim_start_matches("http://").to_owned();
    let bodies: Arc<[Arc<[u8]>]> = (0..events)
        .map(|event| load::request(&address, "/default/bench", &body(event, entities)))
        .collect();
    let pid = stack.processes.first().context("a process")?.1.pid();
    let before = [
        cpu::seconds(pid),
        cpu::seconds_with_children(pid),
        cpu::seconds_of("postgres"),
    ];
    let started = Instant::now();
    let seen = load::send_all(&address, bodies, CONNECTIONS).await?;
    wait_for(stack, &source, seen.accepted).await?;
    let elapsed = started.elapsed();
    let used = [
        cpu::seconds(pid),
        cpu::seconds_with_children(pid),
        cpu::seconds_of("postgres"),
    ];
    let each = |seconds: f64| seconds * 1e6 / seen.accepted.max(1) as f64;
    let [own, with_nats, postgres] = std::array::from_fn(|place| used[place] - before[place]);
    print(&format!(
        "{store:11} {entities:>14} {:>11.0} {:>12.0} {:>12.1} {:>8.1} {:>12.1}",
        seen.per_second(),
        seen.accepted as f64 / elapsed.as_secs_f64(),
        each(own),
        each(with_nats - own),
        each(postgres),
    ));
    anyhow::ensure!(seen.other == 0, "{} requests were not accepted", seen.other);
    Ok(())
}

fn definition(entities: u64) -> Value {
    let rules = |path: &str| json!({"type": "customer", "path": path, "unique_id": "$.id", "title": "$.email", "fields": {"plan": "$.plan"}});
    match entities {
        0 => json!({"name": "bench"}),
        1 => json!({"name": "bench", "entity": rules("$.data")}),
        // Several entities of a payload are kept in order of the whole source, in one partition, unless
        // the source says that their order does not matter.
        _ => json!({"name": "bench", "entity": rules("$.data"), "ordering": {"mode": "none"}}),
    }
}

/// A body about the next entities; each time that one comes it has changed.
fn body(event: u64, entities: u64) -> Vec<u8> {
    let count = entities.max(1);
    let entity = |place: u64| {
        let number = event * count + place;
        let id = number % ENTITIES;
        let filler = "x".repeat(BODY_BYTES.saturating_sub(120) / usize::try_from(count).unwrap_or(1));
        format!(r#"{{"id":{id},"email":"c{id}@example.com","plan":"p{number}","note":"{filler}"}}"#)
    };
    let all: Vec<String> = (0..count).map(entity).collect();
    let data = if count == 1 {
        all.concat()
    } else {
        format!("[{}]", all.join(","))
    };
    format!(r#"{{"event_type":"user","data":{data}}}"#).into_bytes()
}

async fn wait_for(stack: &Stack, source: &Value, accepted: u64) -> anyhow::Result<()> {
    let path = format!(
        "/sources/{}/status",
        source["id"].as_str().context("the source's id")?
    );
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        // An answer that does not come while all are busy is asked for again.
        let status = stack.api.get(&path).await.unwrap_or_default();
        if status["processed"].as_u64() == Some(accepted) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    anyhow::bail!("not all of {accepted} events are processed: {}", stack.tails(5))
}
