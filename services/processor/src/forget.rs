//! Forgetting what is kept only to recognise repetitions, in small steps, so that nobody waits for the
//! database. Every worker may do it: it is the same statement everywhere, and rarely run.

use std::time::Duration;

use hookrail_runtime::clock;
use hookrail_store::{Store, StoreError, event_keys, source_refusals};

/// How often.
const INTERVAL: Duration = Duration::from_secs(600);
/// Keys, and refusals, forgotten in one transaction.
const STEP: u32 = 1_000;
/// The pause between two steps of which the first was full.
const BREATH: Duration = Duration::from_millis(50);
/// How long the records of refusals that were counted are remembered.
const REFUSALS_MS: i64 = 7 * 24 * 3600 * 1000;

/// Forgets from time to time, until it is dropped.
pub(crate) async fn forget_regularly(store: Store) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = forget(&store, clock::now_ms()).await {
            tracing::warn!(%error, "forgetting old keys did not work");
        }
    }
}

async fn forget(store: &Store, now: i64) -> Result<(), StoreError> {
    loop {
        let transaction = store.write().await?;
        let keys = event_keys::forget(&*transaction, now, STEP).await?;
        let refusals = source_refusals::forget(&*transaction, now - REFUSALS_MS, STEP).await?;
        transaction.commit().await?;
        if keys.max(refusals) < u64::from(STEP) {
            return Ok(());
        }
        tokio::time::sleep(BREATH).await;
    }
}
