//! A destination that fails while deliveries for it pile up, in one partition with a healthy one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hookrail_domain::destination::DestinationSpec;
use hookrail_harness::{Child, eventually};

use crate::{
    bodies::now_us,
    feed::{Aim, Feed, Load},
    installation::{Installation, Size, unsigned},
    journal::Journal,
    lane_ledger::LaneLedger,
    latencies::Latencies,
    memory::resident_kib,
    print,
    sink::{Arrived, Reply, Sink},
    steady::{self, Steady},
    worker,
};

/// The destinations' numbers.
const HEALTHY: u32 = 0;
const FAILS: u32 = 1;
/// How long the worker gets to take its partitions and to warm up before its memory is read.
const WARM_UP: Duration = Duration::from_secs(10);
/// How often progress is looked at while nothing but time passes.
const LOOK: Duration = Duration::from_secs(1);

/// How large it is.
pub(crate) struct Outage {
    /// Deliveries of the failing destination, and the lanes that they are spread over.
    pub(crate) deliveries: u32,
    pub(crate) lanes: u32,
    pub(crate) ordered: bool,
    /// How many of them come a second; 0 = as fast as it goes.
    pub(crate) pile_rate: u32,
    /// How long it fails at least, seconds.
    pub(crate) seconds: u64,
    /// Deliveries a second for the healthy one.
    pub(crate) rate: u32,
    /// How long all may take in the end, seconds.
    pub(crate) patience: u64,
}

/// What the receiver knows.
struct Seen {
    healthy: LaneLedger,
    failing: LaneLedger,
    latencies: Latencies,
    well: AtomicBool,
}

/// What runs.
struct Scene {
    seen: Arc<Seen>,
    feed: Feed,
    healthy: Aim,
    fails: Aim,
    worker: Child,
    _running: (Sink, Installation, Journal),
}

/// Runs it, prints what it cost, and says whether every promise was kept.
pub(crate) async fn run_outage(outage: &Outage) -> anyhow::Result<bool> {
    let scene = Scene::start(outage).await?;
    let steady = Steady::start(&scene.feed, scene.healthy, outage.rate, 0);
    tokio::time::sleep(WARM_UP).await;
    let before_kib = scene.print("before");
    scene.pile_up(outage, before_kib).await?;
    let came = scene.drain(outage).await;
    let offered = u64::from(steady.stop().await?);
    let rest = || async { (scene.seen.healthy.accepted() == offered).then_some(()) };
    let rest = eventually("all of the healthy destination", 60, rest).await;
    if came.is_err() || rest.is_err() {
        print(&scene.worker.tail(12));
    }
    let failing = scene.seen.failing.count(u64::from(outage.deliveries));
    let healthy = scene.seen.healthy.count(offered);
    print(&format!("failing: {failing}"));
    print(&format!("healthy: {healthy}"));
    Ok(failing.kept() && healthy.kept())
}

impl Scene {
    async fn start(outage: &Outage) -> anyhow::Result<Self> {
        let seen = Arc::new(Seen {
            healthy: LaneLedger::new(steady::LANES, true),
            failing: LaneLedger::new(outage.lanes, outage.ordered),
            latencies: Latencies::default(),
            well: AtomicBool::new(false),
        });
        let of_sink = Arc::clone(&seen);
        let sink = Sink::start(move |arrived| of_sink.arrived(arrived))?;
        let size = Size {
            partitions: 1,
            replicas: 1,
            // Room for all of it in a fifth of a parked stream.
            stream_mib: 512 + i64::from(outage.deliveries) / 250,
        };
        let mut installation = Installation::start(size).await?;
        let healthy = define(&mut installation, HEALTHY, &sink).await?;
        let fails = define(&mut installation, FAILS, &sink).await?;
        let journal = Journal::start(&installation.broker);
        Ok(Self {
            seen,
            feed: Feed::new(&installation),
            healthy,
            fails,
            worker: worker::start(&installation, "dispatcher")?,
            _running: (sink, installation, journal),
        })
    }

    /// Prints the worker's memory and the healthy destination's latencies since the last time.
    fn print(&self, when: &str) -> u64 {
        let kib = resident_kib(self.worker.pid());
        print(&format!("{when:16} {kib} KiB   {}", self.seen.latencies.take()));
        kib
    }

    async fn pile_up(&self, outage: &Outage, before_kib: u64) -> anyhow::Result<()> {
        let (began, deliveries) = (Instant::now(), outage.deliveries);
        let load = Load {
            deliveries,
            lanes: outage.lanes,
            rate: outage.pile_rate,
            ordered: outage.ordered,
        };
        self.feed.publish_all(vec![self.fails], load).await?;
        let published_s = began.elapsed().as_secs_f64();
        let most_kib = wait(&self.worker, Duration::from_secs(outage.seconds), began).await;
        let grown_kib = self.print("while it failed").saturating_sub(before_kib);
        print(&format!(
            "{deliveries} published in {published_s:.0} s; memory grew by {grown_kib} KiB, at most {most_kib} KiB in all"
        ));
        if outage.ordered {
            let each = grown_kib as f64 * 1024.0 / f64::from(outage.lanes);
            print(&format!("{each:.0} bytes a lane"));
        }
        Ok(())
    }

    /// The failing destination gets well.
    async fn drain(&self, outage: &Outage) -> anyhow::Result<()> {
        self.seen.well.store(true, Ordering::Relaxed);
        let (began, wanted) = (Instant::now(), u64::from(outage.deliveries));
        let all = || async { (self.seen.failing.accepted() == wanted).then_some(()) };
        let came = eventually("all that was parked", outage.patience, all).await;
        let took = began.elapsed().as_secs_f64();
        self.print("while it drained");
        print(&format!(
            "all delivered {took:.0} s after it got well ({:.0}/s)",
            wanted as f64 / took
        ));
        came
    }
}

async fn define(installation: &mut Installation, number: u32, sink: &Sink) -> anyhow::Result<Aim> {
    let spec = DestinationSpec {
        timeout_ms: 5_000,
        max_in_flight: 128,
        ..unsigned(1_000, 10_000)
    };
    let destination = installation.define(number, sink.url(), spec).await?;
    Ok(Aim {
        destination,
        spread: 1,
    })
}

/// Waits until `time` has passed since `began`, and gives the worker's largest memory, KiB.
async fn wait(worker: &Child, time: Duration, began: Instant) -> u64 {
    let mut largest = resident_kib(worker.pid());
    while began.elapsed() < time {
        tokio::time::sleep(LOOK).await;
        largest = largest.max(resident_kib(worker.pid()));
    }
    largest
}

impl Seen {
    fn arrived(&self, arrived: Arrived) -> Reply {
        if arrived.destination == HEALTHY {
            self.latencies.add(now_us().saturating_sub(arrived.body.at_us));
            self.healthy.arrived(arrived.body, true);
            return Reply::ACCEPTED;
        }
        let reply = if self.well.load(Ordering::Relaxed) {
            Reply::ACCEPTED
        } else {
            Reply::FAILED
        };
        self.failing.arrived(arrived.body, reply.accepts());
        reply
    }
}
