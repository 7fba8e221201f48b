//! A destination that hangs on every request, beside a healthy one: what that does to the latter.
//!
//! Two installations are measured at the same time, so that what else the machine does meets both. Both have
//! something to do for a second destination, as much unless it is said otherwise: in one it hangs, in the
//! other it answers.

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
const OTHER: u32 = 1;
/// Lanes of the other one.
const OTHER_LANES: u32 = 200;
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
    /// Deliveries a second for the one that hangs
    #[arg(long, default_value_t = 100)]
    hanging_rate: u32,
    /// Deliveries a second for the one that answers; 1 for next to nothing
    #[arg(long, default_value_t = 100)]
    answering_rate: u32,
}

/// One of the two installations.
struct Side {
    ledger: Arc<LaneLedger>,
    latencies: Arc<Latencies>,
    feed: Feed,
    healthy: Aim,
    other: Aim,
    _running: (Sink, Installation, Journal, Child),
}

/// Measures both; whether nothing of the healthy destinations was lost or out of order.
pub(crate) async fn run(options: &Hanging) -> anyhow::Result<bool> {
    let calm = Side::start(Reply::ACCEPTED).await?;
    let beside = Side::start(Reply::NEVER).await?;
    let time = Duration::from_secs(options.seconds);
    let load = |rate| Load {
        deliveries: rate * (WARM_UP + time).as_secs() as u32,
        lanes: OTHER_LANES,
        rate,
        ordered: true,
    };
    let others = [
        (&calm, load(options.answering_rate)),
        (&beside, load(options.hanging_rate)),
    ]
    .map(|(side, load)| {
        let (feed, to) = (side.feed.clone(), vec![side.other]);
        tokio::spawn(async move { feed.publish_all(to, load).await })
    });
    let (without, with) = tokio::try_join!(
        calm.measure(options.rate, time),
        beside.measure(options.rate, time)
    )?;
    for other in others {
        other.await??;
    }
    print(&format!("beside one that answers: {}", without.0));
    print(&format!("beside one that hangs:   {}", with.0));
    print(&format!(
        "p50 hangs / answers: {:.2}",
        with.0.p50_ms / without.0.p50_ms
    ));
    print(&format!(
        "p99 hangs / answers: {:.2}",
        with.0.p99_ms / without.0.p99_ms
    ));
    print(&format!("beside one that answers: {}", without.1));
    print(&format!("beside one that hangs:   {}", with.1));
    Ok(without.1.kept() && with.1.kept())
}

impl Side {
    /// One whose other destination is answered with `other`.
    async fn start(other: Reply) -> anyhow::Result<Self> {
        let ledger = Arc::new(LaneLedger::new(steady::LANES, true));
        let latencies = Arc::new(Latencies::default());
        let sink = receive(&ledger, &latencies, other)?;
        let size = Size {
            partitions: 1,
            replicas: 1,
            stream_mib: 128,
        };
        let mut installation = Installation::start(size).await?;
        let healthy = define(&mut installation, HEALTHY, &sink).await?;
        let other = define(&mut installation, OTHER, &sink).await?;
        let feed = Feed::new(&installation);
        let journal = Journal::start(&installation.broker);
        let worker = worker::start(&installation, "dispatcher")?;
        Ok(Self {
            ledger,
            latencies,
            feed,
            healthy,
            other,
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

fn receive(ledger: &Arc<LaneLedger>, latencies: &Arc<Latencies>, other: Reply) -> anyhow::Result<Sink> {
    let (ledger, latencies) = (Arc::clone(ledger), Arc::clone(latencies));
    Sink::start(move |arrived| {
        if arrived.destination == OTHER {
            return other;
        }
        latencies.add(now_us().saturating_sub(arrived.body.at_us));
        ledger.arrived(arrived.body, true);
        Reply::ACCEPTED
    })
}
