//! Looking after an owned partition's log beside the work on it: its lag, and trimming what is processed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use hookrail_broker::Lease;

use crate::{consume_partition::Workshop, trim_log::LogTrimmer};

/// Tends a partition until it is dropped or the lease is over.
pub(crate) async fn tend(workshop: Workshop, lease: Lease, committed: Arc<AtomicU64>) {
    let partition = lease.partition();
    let lag = workshop
        .metrics
        .lag
        .with_label_values(&[partition.to_string().as_str()]);
    let mut trimmer = LogTrimmer::default();
    // Not at once: the committed sequence is known only after the takeover.
    let pause = workshop.settings.processor_trim_pause;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + pause, pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while lease.holds() {
        ticks.tick().await;
        let committed = committed.load(Ordering::Acquire);
        let state = match workshop.broker.raw_state(partition).await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(partition, %error, "the partition's state is not known");
                continue;
            }
        };
        lag.set(i64::try_from(state.last_sequence.saturating_sub(committed)).unwrap_or(i64::MAX));
        match trimmer.trim(&workshop, &lease, &state, committed).await {
            Ok(trimmed) => workshop.metrics.trimmed.inc_by(trimmed),
            Err(error) => tracing::warn!(partition, %error, "trimming the partition did not work"),
        }
    }
    lag.set(0);
}
