//! Looking at what paused sources hold, and saying which of them are full, for the ingresses, which have no
//! database. One worker looks, the owner of the first shard of jobs; what is on its way meanwhile is held too, so
//! a source may hold some more than its limit.

use std::collections::BTreeMap;
use std::time::Duration;

use hookrail_broker::Lease;
use hookrail_domain::{held_limit::full_sources, ids::SourceId};
use hookrail_store::held_events;

use crate::{consume_partition::Workshop, jobs::JobError};

/// How often what is held is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Looks while the lease holds.
pub(crate) async fn watch_held(workshop: Workshop, lease: Lease) {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while lease.holds() {
        ticks.tick().await;
        if let Err(error) = look(&workshop, &lease).await {
            tracing::warn!(%error, "which paused sources are full is not known");
        }
    }
}

async fn look(workshop: &Workshop, lease: &Lease) -> Result<(), JobError> {
    let held = held_events::by_source(workshop.store.reader()).await?;
    let held: BTreeMap<SourceId, u64> = held.iter().map(|(source, sum)| (*source, sum.bytes)).collect();
    // What is said, whoever said it, is what the ingresses go by.
    let were_full = workshop.broker.full_sources().await?;
    let full = full_sources(&held, &were_full, workshop.settings.processor_held_max_bytes);
    let gauge = &workshop.metrics.full_sources;
    gauge.set(i64::try_from(full.len()).unwrap_or(i64::MAX));
    if full == were_full || !lease.holds() {
        return Ok(());
    }
    for source in full.difference(&were_full) {
        tracing::warn!(%source, "a paused source holds as much as it may: no more is accepted for it");
    }
    for source in were_full.difference(&full) {
        tracing::info!(%source, "a source that was full takes events again");
    }
    Ok(workshop.broker.set_full_sources(&full).await?)
}
