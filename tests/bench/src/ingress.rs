//! The ingress beside (a) a bare handler and (b) one that publishes the same bytes and awaits the
//! ack: each its own process, one at a time, in turn, against one nats-server.

use std::{path::Path, process::Command, time::Duration};

use hookrail_broker::{Broker, BrokerSettings};
use hookrail_domain::{
    ids::{SourceId, WorkspaceId},
    snapshot::{Definition, Entry, Key},
    source::{Source, SourceSpec},
    workspace::{FIRST_CODE, Workspace},
};
use hookrail_harness::{Child, NatsServer, eventually, hookrail_binary};

use crate::{
    cpu,
    load::{self, Seen},
    print,
};

/// Size of each body, bytes.
const BODY_BYTES: usize = 1024;
/// Partitions of the installation under test.
const PARTITIONS: u32 = 4;

pub(crate) struct Contestant {
    name: &'static str,
    pub(crate) child: Child,
    pub(crate) address: String,
    path: &'static str,
    results: Vec<Figures>,
}

struct Figures {
    per_second: f64,
    server_us: f64,
    nats_us: f64,
    p50_ms: f64,
    p99_ms: f64,
    other: u64,
}

/// Measures and prints.
pub(crate) async fn measure(time: Duration, connections: usize, rounds: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let nats = NatsServer::start(&folder.path().join("nats")).await?;
    define_source(&nats.url()).await?;
    let mut contestants = [
        bare(folder.path()).await?,
        publishing(folder.path(), &nats.url()).await?,
        ingress(folder.path(), &nats.url()).await?,
    ];
    let body = body();
    for round in 0..=rounds {
        for contestant in &mut contestants {
            // The first round warms up and is not counted.
            let time = if round == 0 { Duration::from_secs(1) } else { time };
            let figures = one(contestant, &nats, &body, connections, time).await?;
            if round > 0 {
                contestant.results.push(figures);
            }
        }
    }
    report(&mut contestants, connections);
    Ok(())
}

async fn one(
    contestant: &Contestant,
    nats: &NatsServer,
    body: &[u8],
    connections: usize,
    time: Duration,
) -> anyhow::Result<Figures> {
    let pids = (contestant.child.pid(), nats.pid().unwrap_or_default());
    let before = (cpu::seconds(pids.0), cpu::seconds(pids.1));
    let mut seen: Seen = load::run(&contestant.address, contestant.path, body, connections, time).await?;
    let used = (cpu::seconds(pids.0) - before.0, cpu::seconds(pids.1) - before.1);
    let per_event = |seconds: f64| seconds * 1e6 / seen.accepted.max(1) as f64;
    Ok(Figures {
        per_second: seen.per_second(),
        server_us: per_event(used.0),
        nats_us: per_event(used.1),
        p50_ms: seen.quantile_ms(0.5),
        p99_ms: seen.quantile_ms(0.99),
        other: seen.other,
    })
}

fn report(contestants: &mut [Contestant], connections: usize) {
    print(&format!(
        "bodies of {BODY_BYTES} B, {connections} connections, median of rounds:"
    ));
    print("                                      accepted/s  server µs  nats µs   p50 ms   p99 ms  not 202");
    for contestant in contestants.iter() {
        let m = |of: fn(&Figures) -> f64| median(contestant.results.iter().map(of).collect());
        let other: u64 = contestant.results.iter().map(|figures| figures.other).sum();
        print(&format!(
            "{:36} {:>11.0} {:>10.1} {:>8.1} {:>8.2} {:>8.2} {:>8}",
            contestant.name,
            m(|f| f.per_second),
            m(|f| f.server_us),
            m(|f| f.nats_us),
            m(|f| f.p50_ms),
            m(|f| f.p99_ms),
            other
        ));
    }
    let rate = |index: usize| median(contestants[index].results.iter().map(|f| f.per_second).collect());
    print(&format!(
        "ingress / bare handler: {:.2}   ingress / publishing handler: {:.2}",
        rate(2) / rate(0),
        rate(2) / rate(1)
    ));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn body() -> Vec<u8> {
    let head =
        r#"{"event_type":"user","payload":{"id":820982911946154508,"email":"jon@example.com","note":""#;
    let tail = "\"}}";
    let filler = "x".repeat(BODY_BYTES - head.len() - tail.len());
    format!("{head}{filler}{tail}").into_bytes()
}

pub(crate) async fn bare(folder: &Path) -> anyhow::Result<Contestant> {
    serve("bare handler", "serve-bare", &[], folder).await
}

async fn publishing(folder: &Path, nats_url: &str) -> anyhow::Result<Contestant> {
    serve(
        "handler that publishes and awaits",
        "serve-publish",
        &["--nats-url", nats_url],
        folder,
    )
    .await
}

async fn serve(name: &'static str, verb: &str, flags: &[&str], folder: &Path) -> anyhow::Result<Contestant> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(verb).args(flags).env("BENCH_LISTEN", &address);
    start(name, &mut command, address, "/", folder).await
}

async fn ingress(folder: &Path, nats_url: &str) -> anyhow::Result<Contestant> {
    let address = free_address()?;
    let mut command = Command::new(hookrail_binary());
    command.args([
        "ingress",
        "--nats-url",
        nats_url,
        "--ingress-listen",
        &address,
        "--ops-listen",
        hookrail_harness::ANY_PORT,
    ]);
    command.args(["--partitions", &PARTITIONS.to_string(), "--ingress-workers", "2"]);
    start(
        "hookrail ingress",
        &mut command,
        address,
        "/default/bench",
        folder,
    )
    .await
}

async fn start(
    name: &'static str,
    command: &mut Command,
    address: String,
    path: &'static str,
    folder: &Path,
) -> anyhow::Result<Contestant> {
    let child = Child::start(command, &folder.join(format!("{name}.log")))?;
    let ready = || async {
        let seen = load::run(&address, path, &body(), 1, Duration::from_millis(1))
            .await
            .ok()?;
        (seen.accepted > 0).then_some(())
    };
    let waited = eventually(&format!("{name} answers"), 30, ready).await;
    waited.map_err(|error| error.context(child.tail(10)))?;
    Ok(Contestant {
        name,
        child,
        address,
        path,
        results: Vec::new(),
    })
}

fn free_address() -> anyhow::Result<String> {
    Ok(std::net::TcpListener::bind(hookrail_harness::ANY_PORT)?
        .local_addr()?
        .to_string())
}

/// Puts one source in force, as the config service would: the ingress needs nothing else.
async fn define_source(nats_url: &str) -> anyhow::Result<()> {
    let settings = BrokerSettings {
        urls: vec![nats_url.to_owned()],
        partitions: PARTITIONS,
        ..BrokerSettings::default()
    };
    let broker = Broker::connect(&settings, "bench").await?;
    broker.ensure_topology().await?;
    broker.create_install("bench").await?;
    let workspace = WorkspaceId::from_u128(1);
    let source = Source {
        id: SourceId::from_u128(2),
        workspace,
        workspace_code: FIRST_CODE.to_owned(),
        token: "bench-token".to_owned(),
        old_names: Vec::new(),
        api_keys: Vec::new(),
        spec: SourceSpec {
            name: "bench".to_owned(),
            ..SourceSpec::default()
        },
    };
    let first = Workspace {
        id: workspace,
        code: FIRST_CODE.to_owned(),
    };
    for (revision, key, definition) in [
        (1, Key::Workspace(workspace), Definition::Workspace(first)),
        (2, Key::Source(source.id), Definition::Source(Box::new(source))),
    ] {
        let entry = Entry {
            revision,
            key,
            definition: Some(definition),
        };
        broker.publish_entry(&entry).await?;
    }
    Ok(())
}
