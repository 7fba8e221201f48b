//! A destination that hangs on every request, beside a healthy one: what that does to the latter.

use std::{sync::Arc, time::Duration};

use clap::Args;
use hookrail_domain::destination::DestinationSpec;
use hookrail_harness::eventually;

use crate::{
    bodies::now_us,
    feed::{Aim, Feed, Load},
    installation::{Installation, Size, unsigned},
    journal::Journal,
    lane_ledger::LaneLedger,
    latencies::{Latencies, Quantiles},
    print,
    sink::{Reply, Sink},
    steady::{self, Steady},
    worker,
};

/// The destinations' numbers.
const HEALTHY: u32 = 0;
const HANGS: u32 = 1;
/// How long the worker gets to take its partitions before anything is counted.
const WARM_UP: Duration = Duration::from_secs(5);

/// What can be set of the run.
#[derive(Args)]
pub(crate) struct Hanging {
    /// Seconds with and without the hanging destination
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Deliveries a second for the healthy destination
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// Deliveries a second for the hanging one
    #[arg(long, default_value_t = 100)]
    hanging_rate: u32,
}

/// Measures one without, then with the other; whether nothing was lost or out of order.
pub(crate) async fn run(options: &Hanging) -> anyhow::Result<bool> {
    let (ledger, latencies) = (
        Arc::new(LaneLedger::new(steady::LANES, true)),
        Arc::new(Latencies::default()),
    );
    let sink = receive(&ledger, &latencies)?;
    let mut installation = Installation::start(Size {
        partitions: 1,
        replicas: 1,
        stream_mib: 256,
    })
    .await?;
    let spec = || DestinationSpec {
        timeout_ms: 5_000,
        ..unsigned(1_000, 8_000)
    };
    let healthy = Aim {
        destination: installation.define(HEALTHY, sink.url(), spec()).await?,
        spread: 1,
    };
    let hangs = Aim {
        destination: installation.define(HANGS, sink.url(), spec()).await?,
        spread: 1,
    };
    let _journal = Journal::start(&installation.broker);
    let _worker = worker::start(&installation, "dispatcher")?;
    let feed = Feed::new(&installation);
    let next = measure(&feed, healthy, options.rate, WARM_UP, 0).await?;
    all_accepted(&ledger, next).await?;
    latencies.take();

    let time = Duration::from_secs(options.seconds);
    let next = measure(&feed, healthy, options.rate, time, next).await?;
    all_accepted(&ledger, next).await?;
    let without = latencies.take();
    let deliveries = options.hanging_rate * options.seconds as u32;
    let load = Load {
        deliveries,
        lanes: 200,
        rate: options.hanging_rate,
        ordered: true,
    };
    let (other, of_other) = (feed.clone(), hangs);
    let beside = tokio::spawn(async move { other.publish_all(vec![of_other], load).await });
    let next = measure(&feed, healthy, options.rate, time, next).await?;
    all_accepted(&ledger, next).await?;
    let with = latencies.take();
    beside.await??;
    report(without, with);
    let counts = ledger.count(u64::from(next));
    print(&counts.to_string());
    Ok(counts.kept())
}

fn report(without: Quantiles, with: Quantiles) {
    print(&format!("alone:                              {without}"));
    print(&format!("beside one that hangs all the time: {with}"));
    print(&format!(
        "p99 with / without: {:.2}",
        with.p99_ms / without.p99_ms
    ));
}

async fn measure(feed: &Feed, aim: Aim, rate: u32, time: Duration, first: u32) -> anyhow::Result<u32> {
    let steady = Steady::start(feed, aim, rate, first);
    tokio::time::sleep(time).await;
    steady.stop().await
}

async fn all_accepted(ledger: &LaneLedger, wanted: u32) -> anyhow::Result<()> {
    let all = || async { (ledger.accepted() == u64::from(wanted)).then_some(()) };
    eventually("the healthy destination has all", 60, all).await
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
