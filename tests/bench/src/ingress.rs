//! The ingress, by ways to authenticate, beside (a) a bare handler and (b) one that publishes the same bytes
//! and awaits the ack: one at a time, in turn, against one nats-server.

use std::{path::Path, process::Command, rc::Rc, time::Duration};

use hookrail_broker::{Broker, BrokerSettings};
use hookrail_domain::{
    api_key::{ApiKey, hash_key},
    ids::{KeyId, SourceId, WorkspaceId},
    snapshot::{Definition, Entry, Key},
    source::{Source, SourceSpec},
    workspace::{FIRST_CODE, Workspace},
};
use hookrail_harness::{Child, NatsServer, eventually, hookrail_binary};
use ring::hmac;

use crate::{
    cpu,
    load::{self, Post, Seen},
    print,
};

/// Size of each body, bytes.
const BODY_BYTES: usize = 1024;
/// What the senders show.
const API_KEY: &str = "bench-key-0123456789";
const STRIPE_SECRET: &str = "whsec_bench0123456789";
/// Partitions of the installation under test.
const PARTITIONS: u32 = 4;

pub(crate) struct Contestant {
    name: &'static str,
    pub(crate) child: Rc<Child>,
    pub(crate) address: String,
    path: &'static str,
    headers: String,
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
    let body = body();
    let mut contestants = vec![
        bare(folder.path()).await?,
        publishing(folder.path(), &nats.url()).await?,
    ];
    contestants.extend(ingress(folder.path(), &nats.url(), &body).await?);
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
    let post = Post {
        address: &contestant.address,
        path: contestant.path,
        headers: &contestant.headers,
        body,
        wanted: 202,
    };
    let mut seen: Seen = load::run(post, connections, time).await?;
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
    for (index, contestant) in contestants.iter().enumerate().skip(2) {
        print(&format!(
            "{:36} / bare handler: {:.2}   / publishing handler: {:.2}",
            contestant.name,
            rate(index) / rate(0),
            rate(index) / rate(1)
        ));
    }
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

/// One process, with a source for each way to authenticate.
async fn ingress(folder: &Path, nats_url: &str, body: &[u8]) -> anyhow::Result<Vec<Contestant>> {
    let address = free_address()?;
    let mut command = Command::new(hookrail_binary());
    command.env("HOOKRAIL_KEY_RING", hookrail_harness::key_ring_text());
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
    let open = start("ingress, none", &mut command, address, "/default/bench", folder).await?;
    let other = |name, path, headers: String| Contestant {
        name,
        child: Rc::clone(&open.child),
        address: open.address.clone(),
        path,
        headers,
        results: Vec::new(),
    };
    let keyed = other(
        "ingress, api_key",
        "/default/bench-key",
        format!("X-Api-Key: {API_KEY}\r\n"),
    );
    let signature = stripe_signature(now_s(), body);
    let signed = other(
        "ingress, Stripe's signature",
        "/default/bench-stripe",
        format!("Stripe-Signature: {signature}\r\n"),
    );
    Ok(vec![open, keyed, signed])
}

/// What Stripe's documentation says to sign: the time, a dot, and the body.
fn stripe_signature(at_s: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, STRIPE_SECRET.as_bytes());
    let mut signing = hmac::Context::with_key(&key);
    signing.update(format!("{at_s}.").as_bytes());
    signing.update(body);
    let signature = signing.sign();
    let hex: String = signature
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={at_s},v1={hex}")
}

fn now_s() -> u64 {
    u64::try_from(hookrail_runtime::clock::now_ms() / 1000).unwrap_or_default()
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
        let post = Post {
            address: &address,
            path,
            headers: "",
            body: &body(),
            wanted: 202,
        };
        let seen = load::run(post, 1, Duration::from_millis(1)).await.ok()?;
        (seen.accepted > 0).then_some(())
    };
    let waited = eventually(&format!("{name} answers"), 30, ready).await;
    waited.map_err(|error| error.context(child.tail(10)))?;
    Ok(Contestant {
        name,
        child: Rc::new(child),
        address,
        path,
        headers: String::new(),
        results: Vec::new(),
    })
}

fn free_address() -> anyhow::Result<String> {
    Ok(std::net::TcpListener::bind(hookrail_harness::ANY_PORT)?
        .local_addr()?
        .to_string())
}

/// Puts the sources in force, as the config service would: the ingress needs nothing else.
async fn define_source(nats_url: &str) -> anyhow::Result<()> {
    let settings = BrokerSettings {
        urls: vec![nats_url.to_owned()],
        partitions: PARTITIONS,
        key_ring: hookrail_harness::key_ring(),
        ..BrokerSettings::default()
    };
    let broker = Broker::connect(&settings, "bench").await?;
    broker.ensure_topology().await?;
    broker.create_install("bench").await?;
    let workspace = WorkspaceId::from_u128(1);
    let first = Workspace {
        id: workspace,
        code: FIRST_CODE.to_owned(),
    };
    let mut definitions = vec![(Key::Workspace(workspace), Definition::Workspace(first))];
    for (number, spec) in (2..).zip(sources()?) {
        let source = source(number, workspace, spec);
        definitions.push((Key::Source(source.id), Definition::Source(Box::new(source))));
    }
    for (revision, (key, definition)) in (1..).zip(definitions) {
        let entry = Entry {
            revision,
            key,
            definition: Some(definition),
        };
        broker.publish_entry(&entry).await?;
    }
    Ok(())
}

fn sources() -> anyhow::Result<Vec<SourceSpec>> {
    let stripe = format!(
        r#"{{"name":"bench-stripe","auth":{{"type":"signature","scheme":"stripe","secrets":["{STRIPE_SECRET}"],"tolerance_s":86400}}}}"#
    );
    let keyed = r#"{"name":"bench-key","auth":{"type":"api_key"}}"#;
    let specs = [r#"{"name":"bench"}"#, keyed, stripe.as_str()];
    specs.iter().map(|spec| Ok(serde_json::from_str(spec)?)).collect()
}

fn source(number: u128, workspace: WorkspaceId, spec: SourceSpec) -> Source {
    let key = ApiKey {
        id: KeyId::from_u128(number),
        label: "bench".to_owned(),
        hash: hash_key(API_KEY),
        hint: String::new(),
        created_at: 0,
    };
    Source {
        id: SourceId::from_u128(number),
        workspace,
        workspace_code: FIRST_CODE.to_owned(),
        token: format!("bench-token-{number}"),
        old_names: Vec::new(),
        api_keys: vec![key],
        spec,
    }
}
