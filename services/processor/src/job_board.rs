//! Says where background jobs are open, so that idle shards need not ask one by one: one look for all of them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hookrail_runtime::clock;
use hookrail_store::{
    Store,
    open_jobs::{self, JobKind},
};
use tokio::{sync::watch, time::MissedTickBehavior};

use crate::jobs::RETRY_PAUSE;

/// How often it is looked: a job begins so much later than it was asked for, at the most.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Where looks are put up.
#[derive(Clone)]
pub(crate) struct JobBoard {
    newest: Arc<watch::Sender<BTreeSet<(JobKind, u32)>>>,
}

impl JobBoard {
    pub(crate) fn new() -> Self {
        Self {
            newest: Arc::new(watch::Sender::new(BTreeSet::new())),
        }
    }

    /// Looks for ever, as long as somebody reads.
    pub(crate) async fn look_regularly(&self, store: &Store) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.newest.is_closed() {
                continue;
            }
            match open_jobs::open(store.reader(), clock::now_ms()).await {
                Ok(open) => drop(self.newest.send_replace(open)),
                Err(error) => {
                    tracing::warn!(%error, "whether jobs are open is not known");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// For who works on the jobs of `kind` in `shard`.
    pub(crate) fn reader(&self, kind: JobKind, shard: u32) -> BoardReader {
        BoardReader {
            newest: self.newest.subscribe(),
            of: (kind, shard),
        }
    }
}

/// Waits for the jobs of one kind and shard.
pub(crate) struct BoardReader {
    newest: watch::Receiver<BTreeSet<(JobKind, u32)>>,
    of: (JobKind, u32),
}

impl BoardReader {
    /// Waits for a look that began after this call, or the one under way, and shows something to do.
    pub(crate) async fn shows_some(&mut self) {
        self.newest.mark_unchanged();
        while self.newest.changed().await.is_ok() {
            if self.newest.borrow_and_update().contains(&self.of) {
                return;
            }
        }
        // Nobody looks any more: whoever waits has an end of its own.
        std::future::pending().await
    }
}
