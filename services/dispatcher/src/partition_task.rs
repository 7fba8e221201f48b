//! What one partition's task has in hand: the engine, the deliveries in memory, and what runs beside it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hookrail_broker::{DeliveryAcker, DeliveryMessage, DeliveryReader, Lease, ParkedStore, codec};
use hookrail_domain::{
    Millis,
    delivery::Delivery,
    ids::DestinationId,
    lane::{Action, AttemptId, Input, Limits, Parking, PartitionLanes, Place, RateRule, Takeover},
};
use hookrail_runtime::clock;
use tokio::task::JoinSet;

use crate::{
    DispatcherSettings, attempt::Finished, bodies::Bodies, carry_out::Done, commands::Commands,
    error::PartitionError, fetch_memory::FetchMemory, metrics::PartitionGauges, own_partitions::Shared,
    park::arrival, record::Recorder, rules::KnownDestinations,
};

/// Longest sleep of an idle partition, milliseconds: changed definitions are seen by then.
const IDLE_MS: Millis = 200;

pub(crate) struct PartitionTask<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) lease: &'a Lease,
    pub(crate) lanes: PartitionLanes,
    /// Partitions that this worker owned when it was last looked: they share what it may do.
    owned: u32,
    pub(crate) known: KnownDestinations,
    pub(crate) bodies: Bodies,
    /// The attempt whose end the engine is being told.
    pub(crate) finished: HashMap<AttemptId, Finished>,
    /// Attempts that settle their delivery, until the engine says that it is to be settled.
    pub(crate) outcomes: HashMap<Place, Finished>,
    /// Which fetches have their answer already.
    pub(crate) fetched: FetchMemory,
    pub(crate) acker: DeliveryAcker,
    pub(crate) store: ParkedStore,
    pub(crate) recorder: Recorder,
    pub(crate) commands: Commands,
    pub(crate) gauges: Arc<PartitionGauges>,
    /// When the partition is looked at next for its metrics.
    pub(crate) observe_at: Millis,
    /// Searches of the parked stream under way, those included that are refused.
    pub(crate) searching: usize,
    pub(crate) beside: JoinSet<Result<Done, PartitionError>>,
    pub(crate) actions: Vec<Action>,
}

impl<'a> PartitionTask<'a> {
    pub(crate) fn new(shared: &'a Arc<Shared>, lease: &'a Lease, reader: &DeliveryReader) -> Self {
        let now = clock::now_ms();
        let takeover = takeover(shared, reader, now);
        let owned = shared.owned();
        Self {
            shared,
            lease,
            lanes: PartitionLanes::new(limits(shared, owned), Parking::On, takeover, now),
            owned,
            known: KnownDestinations::new(
                lease.partition(),
                shared.broker.settings().partitions,
                quota_bytes(shared),
            ),
            bodies: Bodies::default(),
            finished: HashMap::new(),
            outcomes: HashMap::new(),
            fetched: FetchMemory::default(),
            acker: reader.acker(),
            store: reader.parked_store(),
            recorder: Recorder {
                publisher: shared.publisher.clone(),
                fill: Arc::clone(&shared.journal_fill),
                partition: lease.partition(),
                epoch: lease.epoch(),
            },
            commands: Commands::default(),
            gauges: shared.metrics.of_partition(lease.partition()),
            observe_at: 0,
            searching: 0,
            beside: JoinSet::new(),
            actions: Vec::new(),
        }
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.lanes.is_drained() && self.beside.is_empty()
    }

    /// How long nothing is to be done unless something comes.
    pub(crate) fn sleep(&self) -> Duration {
        let now = clock::now_ms();
        let wake = self
            .lanes
            .next_wake()
            .map_or(IDLE_MS, |at| (at - now).clamp(0, IDLE_MS));
        Duration::from_millis(u64::try_from(wake).unwrap_or_default())
    }

    pub(crate) fn take_changes(&mut self) {
        let owned = self.shared.owned();
        if owned != self.owned {
            self.owned = owned;
            let (in_flight, attempts) = share(&self.shared.settings, owned);
            self.apply(Input::Share { in_flight, attempts });
        }
        let snapshot = self.shared.snapshots.current();
        for input in self.known.changes(&snapshot) {
            self.apply(input);
        }
    }

    /// Gives the engine the destination's rules, where it does not have them.
    pub(crate) fn introduce(&mut self, destination: DestinationId) {
        if let Some(input) = self
            .known
            .introduce(destination, &self.shared.snapshots.current())
        {
            self.apply(input);
        }
    }

    /// Reads a delivery. One that this version can't read stays un-acked, for a version that can.
    pub(crate) fn decode(&self, message: &DeliveryMessage) -> Option<Delivery> {
        match codec::decode_delivery(&message.payload) {
            Ok(delivery) => Some(delivery),
            Err(error) => {
                let (partition, sequence) = (self.lease.partition(), message.sequence);
                tracing::error!(partition, sequence, %error, "left alone: not a delivery that this version knows");
                self.shared.metrics.unreadable.inc();
                None
            }
        }
    }

    pub(crate) fn arrive(&mut self, message: &DeliveryMessage, delivery: Delivery) {
        if self.lanes.holds(message.sequence) {
            return;
        }
        self.fetched.seen(message.sequence);
        // Not older than what the delivery was planned under: its route may be paused since.
        self.take_changes();
        self.introduce(delivery.destination);
        let arrival = arrival(message.sequence, &delivery, message.payload.len());
        self.bodies.keep_queued(message.sequence, delivery);
        self.apply(Input::Arrived(arrival));
    }
}

fn limits(shared: &Shared, owned: u32) -> Limits {
    let (in_flight, attempts) = share(&shared.settings, owned);
    Limits {
        in_flight,
        destination_in_flight: shared.settings.dispatcher_destination_in_flight,
        attempts,
        ..Limits::default()
    }
}

/// A partition's share of what the whole process may do, where it owns `owned` partitions.
fn share(settings: &DispatcherSettings, owned: u32) -> (u32, RateRule) {
    let owned = owned.max(1);
    let per_second = settings.dispatcher_attempts_per_second / f64::from(owned);
    let attempts = RateRule {
        per_second,
        burst: (per_second / 5.0).max(1.0),
    };
    ((settings.dispatcher_in_flight / owned).max(1), attempts)
}

/// What one destination may have of the parked stream that the partition shares.
fn quota_bytes(shared: &Shared) -> u64 {
    let max_bytes = u64::try_from(shared.broker.settings().limits.parked_max_bytes).unwrap_or_default();
    max_bytes / 100 * u64::from(shared.settings.dispatcher_parked_percent)
}

/// After an unclean owner, what it may have been sending gets one request time-out to arrive.
fn takeover(shared: &Shared, reader: &DeliveryReader, now: Millis) -> Takeover {
    if !reader.unclean() {
        return Takeover::default();
    }
    let snapshot = shared.snapshots.current();
    let longest = snapshot
        .receivers()
        .map(|receiver| receiver.spec.timeout_ms)
        .max();
    Takeover {
        delivered: reader.delivered_before(),
        not_before: now + Millis::from(longest.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_may_do_is_divided_among_its_partitions() {
        let settings = DispatcherSettings {
            dispatcher_in_flight: 100,
            dispatcher_attempts_per_second: 60.0,
            ..DispatcherSettings::default()
        };
        for (owned, in_flight, per_second) in
            [(0, 100, 60.0), (1, 100, 60.0), (3, 33, 20.0), (1_000, 1, 0.06)]
        {
            let (found, attempts) = share(&settings, owned);
            assert_eq!((found, attempts.per_second), (in_flight, per_second), "{owned}");
            assert!(attempts.burst >= 1.0);
        }
    }
}
