//! Many deliveries of one healthy ordered lane at once: they wait for their turn, which is no failure,
//! so no pause of a retry may be seen between them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use clap::Args;

use hookrail_harness::eventually;

use crate::{
    bodies::now_us,
    feed::{Aim, Feed, Load},
    installation::{Installation, Size, unsigned},
    journal::Journal,
    lane_ledger::LaneLedger,
    print,
    sink::{Reply, Sink},
    worker,
};

/// The first wait of a retry, milliseconds: what no gap may come near.
const RETRY_MS: u64 = 5_000;

/// What can be set of the run.
#[derive(Args)]
pub(crate) struct Burst {
    /// Deliveries of the lane
    #[arg(long, default_value_t = 10_000)]
    deliveries: u32,
    /// Seconds to wait for them
    #[arg(long, default_value_t = 180)]
    patience: u64,
}

/// The arrivals' gaps, microseconds.
#[derive(Default)]
struct Gaps {
    first: AtomicU64,
    last: AtomicU64,
    all: Mutex<Vec<u64>>,
}

/// Offers them at once; whether all came in order and without pauses.
pub(crate) async fn run(options: &Burst) -> anyhow::Result<bool> {
    let (ledger, gaps) = (Arc::new(LaneLedger::new(1, true)), Arc::new(Gaps::default()));
    let (of_sink, gaps_of_sink) = (Arc::clone(&ledger), Arc::clone(&gaps));
    let sink = Sink::start(move |arrived| {
        of_sink.arrived(arrived.body, true);
        gaps_of_sink.arrived(now_us());
        Reply::ACCEPTED
    })?;
    let mut installation = Installation::start(Size {
        partitions: 1,
        replicas: 1,
        stream_mib: 256,
    })
    .await?;
    let spec = unsigned(RETRY_MS, RETRY_MS * 4);
    let aim = Aim {
        destination: installation.define(0, sink.url(), spec).await?,
        spread: 1,
    };
    let _journal = Journal::start(&installation.broker);
    let _worker = worker::start(&installation, "dispatcher")?;
    let load = Load {
        deliveries: options.deliveries,
        lanes: 1,
        rate: 0,
        ordered: true,
    };
    let began = now_us();
    Feed::new(&installation).publish_all(vec![aim], load).await?;
    let published = now_us();
    let wanted = u64::from(options.deliveries);
    let all = || async { (ledger.accepted() == wanted).then_some(()) };
    let came = eventually("all delivered", options.patience, all).await;
    let (counts, longest_ms) = (ledger.count(wanted), gaps.longest_us() / 1000);
    print(&format!(
        "{wanted} deliveries of one lane: published in {:.1} s, delivered in {:.1} s, longest gap {longest_ms} ms",
        (published - began) as f64 / 1e6,
        gaps.spread_us() as f64 / 1e6
    ));
    print(&counts.to_string());
    Ok(came.is_ok() && counts.kept() && longest_ms < RETRY_MS)
}

impl Gaps {
    fn arrived(&self, now: u64) {
        let before = self.last.swap(now, Ordering::Relaxed);
        if before == 0 {
            self.first.store(now, Ordering::Relaxed);
        } else {
            self.all
                .lock()
                .expect("no holder panics")
                .push(now.saturating_sub(before));
        }
    }

    fn longest_us(&self) -> u64 {
        self.all
            .lock()
            .expect("no holder panics")
            .iter()
            .copied()
            .max()
            .unwrap_or_default()
    }

    fn spread_us(&self) -> u64 {
        self.last
            .load(Ordering::Relaxed)
            .saturating_sub(self.first.load(Ordering::Relaxed))
    }
}
