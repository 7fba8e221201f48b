//! A destination that hangs on every request, beside a healthy one: what that does to the latter.
//!
//! Two installations are measured at the same time, one with the hanging destination and one without, so
//! that what else the machine does meets both.

use std::{sync::Arc, time::Duration};

use clap::Args;
use hookrail_domain::destination::DestinationSpec;
use hookrail_harness::{Child, eventually};

use crate::{
    bodies::now_us,
    feed::{Aim, Feed, Load},
    installation::{Installation, Size, unsigned},
    journal::Journal,
    lane_ledger::{Counts, LaneLedger},
    latencies::{Latencies, Quantiles},
    print,
    sink::{Reply, Sink},
    steady::{self, Steady},
    worker,
};

/// The destinations' numbers.
const HEALTHY: u32 = 0;
const HANGS: u32 = 1;
/// Lanes of the hanging one.
const HANGING_LANES: u32 = 200;
/// How long the workers get to take their partitions, and the hanging destination to hang, before anything
/// is counted.
const WARM_UP: Duration = Duration::from_secs(8);

/// What can be set of the run.
#[derive(Args)]
pub(crate) struct Hanging {
    /// Seconds that are measured
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Deliveries a second for each healthy destination
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// Deliveries a second for the hanging one
    #[arg(long, default_value_t = 100)]
    hanging_rate: u32,
}

/// One of the two installations.
struct Side {
    ledger: Arc<LaneLedger>,
    latencies: Arc<Latencies>,
    feed: Feed,
    healthy: Aim,
    hangs: Aim,
    _running: (Sink, Installation, Journal, Child),
}

/// Measures both; whether nothing of the healthy destinations was lost or out of order.
pub(crate) async fn run(options: &Hanging) -> anyhow::Result<bool> {
    let (alone, beside) = (Side::start().await?, Side::start().await?);
    let time = Duration::from_secs(options.seconds);
    let (feed, to) = (beside.feed.clone(), vec![beside.hangs]);
    let load = Load {
        deliveries: options.hanging_rate * (WARM_UP + time).as_secs() as u32,
        lanes: HANGING_LANES,
        rate: options.hanging_rate,
        ordered: true,
    };
    let hanging = tokio::spawn(async move { feed.publish_all(to, load).await });
    let (without, with) = tokio::try_join!(
        alone.measure(options.rate, time),
        beside.measure(options.rate, time)
    )?;
    hanging.await??;
    print(&format!("alone:                              {}", without.0));
    print(&format!("beside one that hangs all the time: {}", with.0));
    print(&format!(
        "p50 with / without: {:.2}",
        with.0.p50_ms / without.0.p50_ms
    ));
    print(&format!(
        "p99 with / without: {:.2}",
        with.0.p99_ms / without.0.p99_ms
    ));
    print(&format!("alone:  {}", without.1));
    print(&format!("beside: {}", with.1));
    Ok(without.1.kept() && with.1.kept())
}

impl Side {
    async fn start() -> anyhow::Result<Self> {
        let ledger = Arc::new(LaneLedger::new(steady::LANES, true));
        let latencies = Arc::new(Latencies::default());
        let sink = receive(&ledger, &latencies)?;
        let size = Size {
            partitions: 1,
            replicas: 1,
            stream_mib: 128,
        };
        let mut installation = Installation::start(size).await?;
        let healthy = define(&mut installation, HEALTHY, &sink).await?;
        let hangs = define(&mut installation, HANGS, &sink).await?;
        let feed = Feed::new(&installation);
        let journal = Journal::start(&installation.broker);
        let worker = worker::start(&installation, "dispatcher")?;
        Ok(Self {
            ledger,
            latencies,
            feed,
            healthy,
            hangs,
            _running: (sink, installation, journal, worker),
        })
    }

    /// The latencies of `time` after warming up, and what the ledger says of all.
    async fn measure(&self, rate: u32, time: Duration) -> anyhow::Result<(Quantiles, Counts)> {
        let steady = Steady::start(&self.feed, self.healthy, rate, 0);
        tokio::time::sleep(WARM_UP).await;
        self.latencies.take();
        tokio::time::sleep(time).await;
        let measured = self.latencies.take();
        let offered = u64::from(steady.stop().await?);
        let all = || async { (self.ledger.accepted() == offered).then_some(()) };
        eventually("the healthy destination has all", 60, all).await?;
        Ok((measured, self.ledger.count(offered)))
    }
}

async fn define(installation: &mut Installation, number: u32, sink: &Sink) -> anyhow::Result<Aim> {
    let spec = DestinationSpec {
        timeout_ms: 5_000,
        ..unsigned(1_000, 8_000)
    };
    let destination = installation.define(number, sink.url(), spec).await?;
    Ok(Aim {
        destination,
        spread: 1,
    })
}

fn receive(ledger: &Arc<LaneLedger>, latencies: &Arc<Latencies>) -> anyhow::Result<Sink> {
    let (ledger, latencies) = (Arc::clone(ledger), Arc::clone(latencies));
    Sink::start(move |arrived| {
        if arrived.destination == HANGS {
            return Reply::NEVER;
        }
        latencies.add(now_us().saturating_sub(arrived.body.at_us));
        ledger.arrived(arrived.body, true);
        Reply::ACCEPTED
    })
}
