//! The dispatcher: deliveries a second out of a full queue, and how long one takes at a steady pace.
//! One dispatcher process, one nats-server; the receiver is part of this process.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use hookrail_broker::{Broker, BrokerSettings, OutMessage, codec};
use hookrail_domain::{
    delivery::Delivery,
    destination::{Destination, DestinationOrdering, DestinationSpec, Signing, SigningAlgorithm},
    event::{Body, Origin},
    ids::{DeliveryId, DestinationId, EventId, WorkspaceId},
    partition,
    secret::Secret,
    snapshot::{Definition, Entry, Key},
    workspace::{FIRST_CODE, Workspace},
};
use hookrail_harness::{Child, NatsServer, eventually, hookrail_binary};

use crate::{
    cpu, print,
    sink::{self, Arrivals, BODY_HEAD, now_us},
};

/// Size of each body, bytes.
const BODY_BYTES: usize = 1024;
/// Partitions of the installation under test.
const PARTITIONS: u32 = 4;
/// Lanes where deliveries are ordered by key.
const LANES: u64 = 2_000;
/// Publishes at once while the queue is filled.
const PUBLISHES_AT_ONCE: usize = 256;
/// How long all deliveries may take to arrive, seconds.
const PATIENCE_S: u64 = 180;
/// How long deliveries are offered before any is measured, seconds: workers take their partitions, and
/// connections are made.
const WARM_UP_S: u64 = 2;
/// Attempts at once for one destination.
const MAX_IN_FLIGHT: u32 = 128;

/// What is measured.
struct Case {
    destinations: u64,
    by_key: bool,
}

/// A dispatcher with all that it needs.
struct Bench {
    nats: NatsServer,
    broker: Broker,
    arrivals: Arc<Arrivals>,
    destinations: Vec<Destination>,
    _folder: tempfile::TempDir,
}

/// Measures and prints.
pub(crate) async fn measure(deliveries: u64, per_second: u64, time: Duration) -> anyhow::Result<()> {
    print(&format!(
        "bodies of {BODY_BYTES} B, signed, {deliveries} deliveries out of a full queue:"
    ));
    print("                                   delivered/s  dispatcher µs  nats µs  receiver µs");
    for case in cases() {
        drain(&case, deliveries).await?;
    }
    print(&format!(
        "{per_second} deliveries a second for {} s, 100 destinations, by key:",
        time.as_secs()
    ));
    pace(per_second, time).await
}

fn cases() -> impl Iterator<Item = Case> {
    [(1, false), (1, true), (100, false), (100, true)]
        .into_iter()
        .map(|(destinations, by_key)| Case { destinations, by_key })
}

async fn drain(case: &Case, deliveries: u64) -> anyhow::Result<()> {
    let bench = Bench::new(case).await?;
    let numbers = futures::stream::iter(0..deliveries);
    let publish = |number| bench.publish(case, number);
    numbers
        .map(publish)
        .buffered(PUBLISHES_AT_ONCE)
        .try_collect::<()>()
        .await?;
    let (dispatcher, ops) = bench.dispatcher().await?;
    let first = || async { bench.arrivals.first() };
    let first = eventually("the first arrival", 30, first).await?;
    let pids = [
        dispatcher.pid(),
        bench.nats.pid().unwrap_or_default(),
        std::process::id(),
    ];
    let (before, had) = (pids.map(cpu::seconds), bench.arrivals.count());
    let all = || async { (settled(&ops).await.ok()? >= deliveries).then_some(()) };
    eventually("all deliveries are settled", PATIENCE_S, all)
        .await
        .map_err(|error| error.context(dispatcher.tail(10)))?;
    let (took, counted) = (first.elapsed(), (deliveries - had).max(1) as f64);
    let us: Vec<f64> = pids
        .iter()
        .zip(before)
        .map(|(pid, before)| (cpu::seconds(*pid) - before) * 1e6 / counted)
        .collect();
    let order = if case.by_key { "by key" } else { "unordered" };
    let name = format!("{} destination(s), {order}", case.destinations);
    let rate = deliveries as f64 / took.as_secs_f64();
    print(&format!(
        "{name:32} {rate:>13.0} {:>14.1} {:>8.1} {:>12.1}",
        us[0], us[1], us[2]
    ));
    Ok(())
}

async fn pace(per_second: u64, time: Duration) -> anyhow::Result<()> {
    let case = Case {
        destinations: 100,
        by_key: true,
    };
    let bench = Bench::new(&case).await?;
    let (dispatcher, _ops) = bench.dispatcher().await?;
    let warm_up = per_second * WARM_UP_S;
    bench.offer(&case, 0..warm_up, per_second).await?;
    bench.until_arrived(warm_up, &dispatcher).await?;
    bench.arrivals.forget_latencies();
    let all = warm_up + per_second * time.as_secs();
    bench.offer(&case, warm_up..all, per_second).await?;
    bench.until_arrived(all, &dispatcher).await?;
    let quantile = |part| bench.arrivals.quantile_ms(part);
    print(&format!(
        "published to arrived: p50 {:.2} ms   p99 {:.2} ms   p99.9 {:.2} ms",
        quantile(0.5),
        quantile(0.99),
        quantile(0.999)
    ));
    Ok(())
}

impl Bench {
    async fn new(case: &Case) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let nats = NatsServer::start(&folder.path().join("nats")).await?;
        let settings = BrokerSettings {
            urls: vec![nats.url()],
            partitions: PARTITIONS,
            key_ring: hookrail_harness::key_ring(),
            ..BrokerSettings::default()
        };
        let broker = Broker::connect(&settings, "bench").await?;
        broker.ensure_topology().await?;
        broker.create_install("bench").await?;
        let arrivals = Arc::new(Arrivals::default());
        let address = sink::start(Arc::clone(&arrivals)).await?;
        let workspace = WorkspaceId::from_u128(1);
        let first = Workspace {
            id: workspace,
            code: FIRST_CODE.to_owned(),
        };
        put(
            &broker,
            1,
            Key::Workspace(workspace),
            Definition::Workspace(first),
        )
        .await?;
        let mut destinations = Vec::new();
        for number in 0..case.destinations {
            let destination = destination(case, number, &address);
            let (key, definition) = (Key::Destination(destination.id), Box::new(destination.clone()));
            put(&broker, 2 + number, key, Definition::Destination(definition)).await?;
            destinations.push(destination);
        }
        Ok(Self {
            nats,
            broker,
            arrivals,
            destinations,
            _folder: folder,
        })
    }

    async fn dispatcher(&self) -> anyhow::Result<(Child, String)> {
        let ops = std::net::TcpListener::bind(hookrail_harness::ANY_PORT)?
            .local_addr()?
            .to_string();
        let mut command = Command::new(hookrail_binary());
        command.env("HOOKRAIL_KEY_RING", hookrail_harness::key_ring_text());
        command.args(["dispatcher", "--nats-url", &self.nats.url(), "--ops-listen", &ops]);
        command.args([
            "--partitions",
            &PARTITIONS.to_string(),
            "--outbound-allow",
            "127.0.0.0/8",
        ]);
        let log = Path::new("dispatcher.log");
        Ok((Child::start(&mut command, &self._folder.path().join(log))?, ops))
    }

    /// Publishes at a steady pace.
    async fn offer(&self, case: &Case, numbers: std::ops::Range<u64>, per_second: u64) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut tasks = futures::stream::FuturesUnordered::new();
        for (index, number) in (0..).zip(numbers) {
            let at = started + Duration::from_micros(index * 1_000_000 / per_second);
            tokio::time::sleep_until(at.into()).await;
            tasks.push(self.publish(case, number));
            while let Some(Some(done)) = tasks.next().now_or_never() {
                done?;
            }
        }
        tasks.try_collect().await
    }

    async fn until_arrived(&self, count: u64, dispatcher: &Child) -> anyhow::Result<()> {
        let all = || async { (self.arrivals.count() >= count).then_some(()) };
        eventually("all deliveries arrived", 30, all)
            .await
            .map_err(|error| error.context(dispatcher.tail(10)))
    }

    async fn publish(&self, case: &Case, number: u64) -> anyhow::Result<()> {
        let delivery = self.delivery(case, number);
        let (lane, id) = (delivery.lane(), delivery.id.to_string());
        let partition = partition::of_lane(delivery.destination, lane, 1, PARTITIONS);
        let message = OutMessage::plain(&id, codec::encode_delivery(&delivery));
        let destination = delivery.destination.to_string();
        let lane = format!("{lane:016x}");
        self.broker
            .publisher()
            .publish_delivery(partition, &destination, &lane, message)
            .await?;
        Ok(())
    }

    fn delivery(&self, case: &Case, number: u64) -> Delivery {
        let destination = &self.destinations[(number % case.destinations) as usize];
        let at = now_us();
        Delivery {
            id: DeliveryId::from_u128(u128::from(number) + 1),
            event: EventId::from_u128(u128::from(number) + 1),
            event_type: "entity.updated".to_owned(),
            workspace: WorkspaceId::from_u128(1),
            source: None,
            destination: destination.id,
            route: None,
            entity: None,
            lane_key: case.by_key.then(|| (number % LANES).to_string()),
            origin: Origin {
                partition: 0,
                sequence: number + 1,
                index: 0,
            },
            revision: 1,
            accepted_at: i64::try_from(at / 1000).unwrap_or_default(),
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            body: Body::inline(body(at)),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
            replay: None,
            reply: None,
            generation: 0,
            attempts_before: 0,
            was_held: false,
            fetcher: None,
        }
    }
}

/// How many deliveries the dispatcher has settled as delivered.
async fn settled(ops: &str) -> anyhow::Result<u64> {
    let metrics = reqwest::get(format!("http://{ops}/metrics"))
        .await?
        .text()
        .await?;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(r#"hookrail_deliveries_total{outcome="delivered"} "#));
    Ok(line.map_or(Ok(0), str::parse)?)
}

fn destination(case: &Case, number: u64, address: &str) -> Destination {
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let ordering = if case.by_key {
        DestinationOrdering::Key
    } else {
        DestinationOrdering::None
    };
    Destination {
        id: DestinationId::from_u128(100 + u128::from(number)),
        workspace: WorkspaceId::from_u128(1),
        spec: DestinationSpec {
            name: format!("sink-{number}"),
            url: format!("http://{address}/"),
            signing: Signing::StandardWebhooks {
                algorithm: SigningAlgorithm::HmacSha256,
                public_keys: Vec::new(),
                secrets: vec![secret],
            },
            ordering,
            max_in_flight: MAX_IN_FLIGHT,
            ..DestinationSpec::default()
        },
    }
}

async fn put(broker: &Broker, revision: u64, key: Key, definition: Definition) -> anyhow::Result<()> {
    let entry = Entry {
        revision,
        key,
        definition: Some(definition),
    };
    Ok(broker.publish_entry(&entry).await?)
}

fn body(at_us: u64) -> Vec<u8> {
    let (head, tail) = (format!(r#"{BODY_HEAD}{at_us:016},"note":""#), "\"}");
    let filler = "x".repeat(BODY_BYTES - head.len() - tail.len());
    format!("{head}{filler}{tail}").into_bytes()
}
