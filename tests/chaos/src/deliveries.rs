//! Deliveries while their dispatchers and nats-servers are killed, frozen, terminated and started, and
//! some of their lanes fail.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use hookrail_domain::destination::{DestinationOrdering, DestinationSpec};
use hookrail_harness::eventually;

use crate::{
    disorder::Disorder,
    feed::{Aim, Feed, Load},
    installation::{Installation, Size, unsigned},
    journal::Journal,
    lane_ledger::LaneLedger,
    moods::Moods,
    print,
    seeded::new_seed,
    sink::Sink,
};

/// How long a request may take, milliseconds; hanging lanes take all of it.
const TIMEOUT_MS: u32 = 2_000;

/// How long is waited in the end for what should not come any more.
const AFTER: Duration = Duration::from_secs(2);

/// What can be set of the run.
#[derive(Args)]
pub(crate) struct Deliveries {
    /// Deliveries to publish
    #[arg(long, default_value_t = 60_000)]
    deliveries: u32,
    /// Lanes that they are spread over
    #[arg(long, default_value_t = 2_000)]
    lanes: u32,
    /// Destinations that the lanes belong to
    #[arg(long, default_value_t = 8)]
    destinations: u32,
    /// Deliveries a second, about
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Dispatchers
    #[arg(long, default_value_t = 3)]
    workers: usize,
    /// Partitions
    #[arg(long, default_value_t = 8)]
    partitions: u32,
    /// Copies of each stream, and nats-servers: 1 or 3
    #[arg(long, default_value_t = 1)]
    replicas: usize,
    /// Kills and freezes of dispatchers
    #[arg(long, default_value_t = 16)]
    kills: u32,
    /// Repeats the disorder of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Seconds to wait at the end for what is still on its way
    #[arg(long, default_value_t = 180)]
    patience: u64,
}

/// Publishes, makes disorder, lets all get well, and counts; whether every promise was kept.
pub(crate) async fn run(options: &Deliveries) -> anyhow::Result<bool> {
    let seed = options.seed.unwrap_or_else(new_seed);
    print(&format!("seed {seed}, {} nats-server(s)", options.replicas));
    let (ledger, moods) = (
        Arc::new(LaneLedger::new(options.lanes, true)),
        Arc::new(Moods::new(seed)),
    );
    let sink = receive(&ledger, &moods)?;
    let size = Size {
        partitions: options.partitions,
        replicas: options.replicas,
        stream_mib: 128,
    };
    let mut installation = Installation::start(size).await?;
    let aims = define(&mut installation, options.destinations, &sink).await?;
    let journal = Journal::start(&installation.broker);
    let mut disorder = Disorder::start(&installation, options.workers, seed)?;
    let (began, feed) = (Instant::now(), Feed::new(&installation));
    let load = Load {
        deliveries: options.deliveries,
        lanes: options.lanes,
        rate: options.rate,
        ordered: true,
    };
    let publishing = tokio::spawn(async move { feed.publish_all(aims, load).await });
    disorder.make(&mut installation, options.kills).await?;
    publishing.await??;
    let disturbed = began.elapsed();
    moods.get_well();
    let wanted = u64::from(options.deliveries);
    let all = || async { (ledger.accepted() == wanted && journal.delivered() == wanted).then_some(()) };
    let came = eventually("all delivered, and the journal has it", options.patience, all).await;
    let delivered = began.elapsed();
    tokio::time::sleep(AFTER).await;
    print(&format!(
        "{wanted} deliveries over {} lanes, {}; disturbed for {:.0} s, all delivered after {:.0} s",
        options.lanes,
        disorder.done,
        disturbed.as_secs_f64(),
        delivered.as_secs_f64()
    ));
    let (counts, missing) = (ledger.count(wanted), wanted.saturating_sub(journal.delivered()));
    print(&format!("{counts}   missing in the journal {missing}"));
    if came.is_err() {
        print(&disorder.tails(12));
    }
    Ok(came.is_ok() && counts.kept())
}

fn receive(ledger: &Arc<LaneLedger>, moods: &Arc<Moods>) -> anyhow::Result<Sink> {
    let (ledger, moods) = (Arc::clone(ledger), Arc::clone(moods));
    Sink::start(move |arrived| {
        let reply = moods.reply(arrived);
        ledger.arrived(arrived.body, reply.accepts());
        reply
    })
}

/// The destinations, each spread over some partitions.
async fn define(installation: &mut Installation, count: u32, sink: &Sink) -> anyhow::Result<Vec<Aim>> {
    let spread = 4;
    let mut aims = Vec::new();
    for number in 0..count {
        let spec = DestinationSpec {
            ordering: DestinationOrdering::Key,
            timeout_ms: TIMEOUT_MS,
            spread,
            max_in_flight: 128,
            ..unsigned(500, 4_000)
        };
        let destination = installation.define(number, sink.url(), spec).await?;
        aims.push(Aim { destination, spread });
    }
    Ok(aims)
}
