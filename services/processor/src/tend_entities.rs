//! Looking after stored entities, in small steps, so that nobody waits for the database: tombstones go when
//! no event is left that could bring their entities back, and entities that an older version stored get the
//! terms by which they are found.

use std::time::Duration;

use hookrail_broker::Lease;
use hookrail_domain::Millis;
use hookrail_runtime::clock;
use hookrail_store::{entities, entity_terms, held_events};

use crate::{consume_partition::Workshop, jobs::JobError};

/// How often they are looked through.
const INTERVAL: Duration = Duration::from_secs(60);
/// Entities looked after in one transaction.
const STEP: u32 = 200;
/// The pause between two steps of which the first was full.
const BREATH: Duration = Duration::from_millis(50);
/// How long a tombstone is kept at least, with the versions of its entity: 30 days, and as long as the log
/// keeps events, or a paused source holds older ones.
const TOMBSTONE_S: u64 = 30 * 24 * 3600;

/// Looks after them while the lease holds.
pub(crate) async fn tend_entities(workshop: Workshop, lease: Lease) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while lease.holds() {
        ticks.tick().await;
        if let Err(error) = give_terms(&workshop, &lease).await {
            tracing::warn!(%error, "giving terms to old entities did not work");
        }
        if let Err(error) = sweep(&workshop, &lease).await {
            tracing::warn!(%error, "sweeping deleted entities did not work");
        }
    }
}

async fn give_terms(workshop: &Workshop, lease: &Lease) -> Result<(), JobError> {
    while lease.holds() {
        let transaction = workshop.store.write().await?;
        let given = entity_terms::give_to_old(&*transaction, STEP).await?;
        transaction.commit().await?;
        if given < u64::from(STEP) {
            break;
        }
        tokio::time::sleep(BREATH).await;
    }
    Ok(())
}

async fn sweep(workshop: &Workshop, lease: &Lease) -> Result<(), JobError> {
    let keep_s = workshop.settings.processor_retention_s.max(TOMBSTONE_S);
    let keep_ms = Millis::try_from(keep_s.saturating_mul(1000)).unwrap_or(Millis::MAX);
    let before = clock::now_ms().saturating_sub(keep_ms);
    // What was held since before an entity was deleted must not bring it back.
    let held = held_events::oldest(workshop.store.reader()).await?;
    let before = held.map_or(before, |oldest| before.min(oldest));
    while lease.holds() {
        let transaction = workshop.store.write().await?;
        let swept = entities::sweep_deleted(&*transaction, before, STEP).await?;
        transaction.commit().await?;
        workshop.metrics.tombstones_swept.inc_by(swept);
        if swept < u64::from(STEP) {
            break;
        }
        tokio::time::sleep(BREATH).await;
    }
    Ok(())
}
