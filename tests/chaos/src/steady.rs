//! A steady load for a healthy destination, beside which something else goes wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::{JoinHandle, JoinSet},
    time::MissedTickBehavior,
};

use crate::feed::{Aim, Feed};

/// Lanes that the load is spread over, so that none waits for the one before.
pub(crate) const LANES: u32 = 500;

/// A load under way.
pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    task: JoinHandle<anyhow::Result<u32>>,
}

impl Steady {
    /// Offers `rate` ordered deliveries a second, from place `first` of the load on.
    pub(crate) fn start(feed: &Feed, aim: Aim, rate: u32, first: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(offer(feed.clone(), aim, rate, first, Arc::clone(&stop)));
        Self { stop, task }
    }

    /// Ends it, and gives the place of the load that would be next.
    ///
    /// # Errors
    /// When a delivery was not taken.
    pub(crate) async fn stop(self) -> anyhow::Result<u32> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

async fn offer(feed: Feed, aim: Aim, rate: u32, first: u32, stop: Arc<AtomicBool>) -> anyhow::Result<u32> {
    let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 / u64::from(rate)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut number, mut under_way) = (first, JoinSet::new());
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        // The same lane again only when the broker has the one before.
        if under_way.len() >= LANES as usize {
            while let Some(done) = under_way.join_next().await {
                done??;
            }
        }
        while let Some(done) = under_way.try_join_next() {
            done??;
        }
        let feed = feed.clone();
        under_way.spawn(async move { feed.publish(aim, true, number % LANES, number / LANES).await });
        number += 1;
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(number)
}
