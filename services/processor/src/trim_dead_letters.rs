//! Removes dead letters whose destination's time for them is up, in small steps, so that nobody waits for
//! the database. Their deliveries stay, as dead; what is gone is the body, so they can't be sent again.

use std::time::Duration;

use hookrail_broker::Lease;
use hookrail_domain::{Millis, destination::DestinationSpec, ids::DestinationId, snapshot::Snapshot};
use hookrail_runtime::clock;
use hookrail_store::dead_letters;

use crate::{consume_partition::Workshop, jobs::JobError};

/// How often they are looked through.
const INTERVAL: Duration = Duration::from_secs(5);
/// Dead letters removed in one transaction.
const STEP: u32 = 500;
/// The pause between two steps of which the first was full.
const BREATH: Duration = Duration::from_millis(50);

/// Trims while the lease holds.
pub(crate) async fn trim_dead_letters(workshop: Workshop, lease: Lease) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while lease.holds() {
        ticks.tick().await;
        if let Err(error) = trim_all(&workshop, &lease).await {
            tracing::warn!(%error, "trimming dead letters did not work");
        }
    }
}

async fn trim_all(workshop: &Workshop, lease: &Lease) -> Result<(), JobError> {
    let mut after = None;
    while lease.holds() {
        let next = dead_letters::next_destination(workshop.store.reader(), after).await?;
        let Some(destination) = next else { return Ok(()) };
        trim(workshop, lease, destination).await?;
        after = Some(destination);
    }
    Ok(())
}

async fn trim(workshop: &Workshop, lease: &Lease, destination: DestinationId) -> Result<(), JobError> {
    let before = clock::now_ms() - retention_ms(&workshop.snapshots.current(), destination);
    while lease.holds() {
        let transaction = workshop.store.write().await?;
        let trimmed = dead_letters::trim(&*transaction, destination, before, STEP).await?;
        transaction.commit().await?;
        workshop.metrics.dead_letters_trimmed.inc_by(trimmed);
        if trimmed < u64::from(STEP) {
            return Ok(());
        }
        tokio::time::sleep(BREATH).await;
    }
    Ok(())
}

/// How long a destination's dead letters are kept; those of one that was deleted, as long as by default.
fn retention_ms(snapshot: &Snapshot, destination: DestinationId) -> Millis {
    let own = snapshot.destination(destination);
    let seconds = own.map_or_else(
        || DestinationSpec::default().dead_retention_s,
        |own| own.spec.dead_retention_s,
    );
    Millis::try_from(seconds.saturating_mul(1000)).unwrap_or(Millis::MAX)
}
