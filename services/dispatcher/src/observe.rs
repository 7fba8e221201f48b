//! What a partition looks like to people on call, every few seconds: its parked lanes, how old what waits
//! is, how far it is behind.

use hookrail_domain::Millis;
use hookrail_runtime::clock;

use crate::{carry_out::Done, partition_task::PartitionTask};

/// How often it is looked at, in ms.
const EVERY_MS: Millis = 5_000;

impl PartitionTask<'_> {
    /// Looks, where it is time to.
    pub(crate) fn observe(&mut self) {
        let now = clock::now_ms();
        if now < self.observe_at {
            return;
        }
        self.observe_at = now + EVERY_MS;
        let parked_lanes = self.lanes.parked_lanes();
        self.gauges
            .parked_lanes
            .set(i64::try_from(parked_lanes).unwrap_or(i64::MAX));
        let (broker, store, gauges) = (
            self.shared.broker.clone(),
            self.store.clone(),
            self.gauges.clone(),
        );
        let partition = self.lease.partition();
        self.beside.spawn(async move {
            match (
                broker.delivery_lag(partition).await,
                store.oldest_accepted_at().await,
            ) {
                (Ok(lag), Ok(oldest)) => {
                    gauges.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
                    let age_ms = oldest.map_or(0, |at| (clock::now_ms() - at).max(0));
                    gauges.oldest_parked.set(age_ms / 1_000);
                }
                // The gauges keep what they said; whether the broker answers has other metrics.
                _ => tracing::debug!(partition, "a delivery partition could not be looked at"),
            }
            Ok(Done::Recorded)
        });
    }
}
