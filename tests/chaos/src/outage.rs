//! A destination that fails while deliveries for it pile up, in one partition with a healthy one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hookrail_domain::destination::DestinationSpec;
use hookrail_harness::eventually;

use crate::{
    bodies::now_us,
    feed::{Aim, Feed, Load},
    installation::{Installation, Size, unsigned},
    journal::Journal,
    lane_ledger::LaneLedger,
    latencies::Latencies,
    memory::resident_kib,
    print,
    sink::{Reply, Sink},
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

/// Runs it, prints what it cost, and says whether every promise was kept.
pub(crate) async fn run_outage(outage: &Outage) -> anyhow::Result<bool> {
    let seen = Arc::new(Seen {
        healthy: LaneLedger::new(steady::LANES, true),
        failing: LaneLedger::new(outage.lanes, outage.ordered),
        latencies: Latencies::default(),
        well: AtomicBool::new(false),
    });
    let of_sink = Arc::clone(&seen);
    let sink = Sink::start(move |arrived| of_sink.arrived(arrived))?;
    // Room for all of it in a fifth of a parked stream.
    let stream_mib = 512 + i64::from(outage.deliveries) / 250;
    let mut installation = Installation::start(Size {
        partitions: 1,
        replicas: 1,
        stream_mib,
    })
    .await?;
    let spec = || DestinationSpec {
        timeout_ms: 5_000,
        max_in_flight: 128,
        ..unsigned(1_000, 10_000)
    };
    let healthy = Aim {
        destination: installation.define(HEALTHY, sink.url(), spec()).await?,
        spread: 1,
    };
    let fails = Aim {
        destination: installation.define(FAILS, sink.url(), spec()).await?,
        spread: 1,
    };
    let _journal = Journal::start(&installation.broker);
    let worker = worker::start(&installation, "dispatcher")?;
    let feed = Feed::new(&installation);
    let steady = Steady::start(&feed, healthy, outage.rate, 0);
    tokio::time::sleep(WARM_UP).await;
    let before_kib = resident_kib(worker.pid());
    print(&format!(
        "before:           {before_kib} KiB   {}",
        seen.latencies.take()
    ));

    let began = Instant::now();
    let (deliveries, lanes, ordered) = (outage.deliveries, outage.lanes, outage.ordered);
    feed.publish_all(
        vec![fails],
        Load {
            deliveries,
            lanes,
            rate: outage.pile_rate,
            ordered,
        },
    )
    .await?;
    let published_s = began.elapsed().as_secs_f64();
    let largest_kib = wait(&worker, Duration::from_secs(outage.seconds), began).await;
    let parked_kib = resident_kib(worker.pid());
    print(&format!(
        "while it failed:  {parked_kib} KiB   {}",
        seen.latencies.take()
    ));
    let each = (parked_kib.saturating_sub(before_kib)) as f64 * 1024.0 / f64::from(lanes);
    print(&format!(
        "{deliveries} published in {published_s:.0} s; memory grew by {each:.0} bytes a lane, at most {largest_kib} KiB in all"
    ));

    seen.well.store(true, Ordering::Relaxed);
    let (recovers, wanted) = (Instant::now(), u64::from(deliveries));
    let all = || async { (seen.failing.accepted() == wanted).then_some(()) };
    let came = eventually("all that was parked", outage.patience, all).await;
    let took = recovers.elapsed().as_secs_f64();
    print(&format!(
        "while it drained: {} KiB   {}",
        resident_kib(worker.pid()),
        seen.latencies.take()
    ));
    print(&format!(
        "all delivered {took:.0} s after it got well ({:.0}/s)",
        wanted as f64 / took
    ));
    let offered = u64::from(steady.stop().await?);
    let rest = || async { (seen.healthy.accepted() == offered).then_some(()) };
    let rest = eventually("all of the healthy destination", 60, rest).await;
    let (counts, others) = (seen.failing.count(wanted), seen.healthy.count(offered));
    print(&format!("failing: {counts}"));
    print(&format!("healthy: {others}"));
    if came.is_err() || rest.is_err() {
        print(&worker.tail(12));
    }
    Ok(counts.kept() && others.kept())
}

/// Waits until `time` has passed since `began`, and gives the worker's largest memory, KiB.
async fn wait(worker: &hookrail_harness::Child, time: Duration, began: Instant) -> u64 {
    let mut largest = resident_kib(worker.pid());
    while began.elapsed() < time {
        tokio::time::sleep(LOOK).await;
        largest = largest.max(resident_kib(worker.pid()));
    }
    largest
}

impl Seen {
    fn arrived(&self, arrived: crate::sink::Arrived) -> Reply {
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
