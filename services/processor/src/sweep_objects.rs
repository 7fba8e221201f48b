//! Removes bodies from the object store that nobody needs any more, in small steps: those of events that
//! are gone from the log, those of processed events where the store is too full, and, after a week, those
//! that nobody owns. A body that is still owned is never removed: who waits for it may wait for months.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hookrail_broker::{FoundObject, Lease, WaitingDelivery};
use hookrail_domain::{
    Millis,
    event::EventStatus,
    ids::{DeliveryId, EventId},
    large_body::owner_in,
    partition,
    retention::RetentionRules,
};
use hookrail_runtime::clock;
use hookrail_store::{
    deliveries::{self, DeliveryRow},
    events::{self, EventRow},
    held_events, partition_progress,
};

use crate::{consume_partition::Workshop, jobs::JobError};

/// The shortest pause between two looks through all bodies.
const PAUSE: Duration = Duration::from_secs(5);
/// How much longer than a look the pause after it is, where that is more.
const PAUSE_FACTOR: u32 = 20;
/// Bodies looked at in one step.
const STEP: usize = 500;
/// The pause between two steps.
const BREATH: Duration = Duration::from_millis(50);

/// Sweeps while the lease holds.
pub(crate) async fn sweep_objects(workshop: Workshop, lease: Lease) {
    while lease.holds() {
        let started = Instant::now();
        let sweep = Sweep {
            workshop: &workshop,
            first_sequences: HashMap::new(),
            too_much: 0,
        };
        if let Err(error) = sweep.run(&lease).await {
            tracing::warn!(%error, "sweeping the object store did not work");
        }
        tokio::time::sleep(PAUSE.max(started.elapsed() * PAUSE_FACTOR)).await;
    }
}

/// One look through all bodies, the oldest first.
struct Sweep<'a> {
    workshop: &'a Workshop,
    /// The first sequence that each raw partition still has.
    first_sequences: HashMap<u32, u64>,
    /// Bytes to remove of processed events, so that there is room for others.
    too_much: u64,
}

impl Sweep<'_> {
    async fn run(mut self, lease: &Lease) -> Result<(), JobError> {
        let broker = &self.workshop.broker;
        let state = broker.objects_state().await?;
        let wanted = state.max_bytes / 100 * self.workshop.settings.processor_trim_percent;
        self.too_much = state.bytes.saturating_sub(wanted);
        let mut after = 0;
        while state.bytes > 0 && lease.holds() {
            let found = broker.list_objects(after, STEP).await?;
            let Some(last) = found.last() else { break };
            after = last.sequence;
            self.step(&found).await?;
            if found.len() < STEP {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }

    async fn step(&mut self, found: &[FoundObject]) -> Result<(), JobError> {
        let reader = self.workshop.store.reader();
        let owners = |prefix: &str| {
            let names = found.iter().map(|object| owner_in(&object.name).to_owned());
            names
                .filter(|owner| owner.starts_with(prefix))
                .collect::<Vec<_>>()
        };
        let ids: Vec<EventId> = owners("evt_").iter().filter_map(|id| id.parse().ok()).collect();
        let rows = events::load(reader, &ids).await?;
        let events: HashMap<&str, &EventRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let ids: Vec<DeliveryId> = owners("dlv_").iter().filter_map(|id| id.parse().ok()).collect();
        let rows = deliveries::load(reader, &ids).await?;
        let deliveries: HashMap<&str, &DeliveryRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        for object in found {
            let owner = owner_in(&object.name);
            let is_needed = match owner.split_once('_') {
                Some(("evt", _)) => {
                    self.event_needs(object, owner, events.get(owner).copied())
                        .await?
                }
                Some(("dlv", _)) => {
                    self.delivery_needs(object, deliveries.get(owner).copied())
                        .await?
                }
                _ => !self.is_old(object),
            };
            if !is_needed {
                self.workshop.broker.delete_object(&object.name).await?;
                self.workshop.metrics.objects_swept.inc();
                tracing::debug!(name = object.name, "a body that nobody needs was removed");
            }
        }
        Ok(())
    }

    /// Whether an event still needs its body: it is held, or it is in the log, and there is room.
    async fn event_needs(
        &mut self,
        object: &FoundObject,
        owner: &str,
        row: Option<&EventRow>,
    ) -> Result<bool, JobError> {
        if let Some(row) = row {
            // Held: it will be processed, however long ago it came.
            if row.status == EventStatus::Received.as_str() {
                return Ok(true);
            }
            let partition = u32::try_from(row.partition).unwrap_or(u32::MAX);
            let is_in_log = self.is_in_log(object, row, partition).await?;
            let is_too_much = self.too_much > 0;
            if is_in_log && is_too_much {
                self.too_much = self.too_much.saturating_sub(row.size.unsigned_abs());
            }
            return Ok(is_in_log && !is_too_much);
        }
        let Ok(id) = owner.parse::<EventId>() else {
            return Ok(!self.is_old(object));
        };
        let is_known = id.partition() < self.workshop.broker.settings().partitions;
        if !self.is_old(object) || !is_known {
            return Ok(!self.is_old(object));
        }
        let found = self
            .workshop
            .broker
            .find_event(id.partition(), owner, id.time())
            .await?;
        Ok(found.is_some())
    }

    /// Whether an event is still in the log. Those of one source may go before others' that are older, so only
    /// the log itself knows of one that is older than its source keeps it.
    async fn is_in_log(
        &mut self,
        object: &FoundObject,
        row: &EventRow,
        partition: u32,
    ) -> Result<bool, JobError> {
        let sequence = row.sequence.unsigned_abs();
        if sequence < self.first_sequence(partition).await? {
            return Ok(false);
        }
        let snapshot = self.workshop.snapshots.current();
        let rules = RetentionRules::new(&snapshot, self.workshop.settings.processor_retention_s);
        let keep = rules.of(row.source.as_deref().and_then(|source| source.parse().ok()));
        if object.put_at >= clock::now_ms().saturating_sub(keep) {
            return Ok(true);
        }
        Ok(self.workshop.broker.raw_get(partition, sequence).await?.is_some())
    }

    async fn first_sequence(&mut self, partition: u32) -> Result<u64, JobError> {
        if partition >= self.workshop.broker.settings().partitions {
            return Ok(u64::MAX);
        }
        if let Some(first) = self.first_sequences.get(&partition) {
            return Ok(*first);
        }
        let first = self.workshop.broker.raw_state(partition).await?.first_sequence;
        self.first_sequences.insert(partition, first);
        Ok(first)
    }

    /// Whether a delivery still needs its body. It owns it until it is settled; only what has lain for
    /// long is looked into.
    async fn delivery_needs(
        &self,
        object: &FoundObject,
        row: Option<&DeliveryRow>,
    ) -> Result<bool, JobError> {
        if !self.is_old(object) {
            return Ok(true);
        }
        let Some(row) = row else {
            return Ok(!self.is_all_committed_until(object.put_at).await?);
        };
        if matches!(row.status.as_str(), "pending" | "parked") {
            return Ok(true);
        }
        let (Ok(delivery), Ok(destination)) = (row.id.parse(), row.destination.parse()) else {
            return Ok(true);
        };
        let Ok(lane) = u64::from_str_radix(&row.lane, 16) else {
            return Ok(true);
        };
        let snapshot = self.workshop.snapshots.current();
        let spread = snapshot
            .destination(destination)
            .map_or(1, |known| known.spec.spread);
        let partitions = self.workshop.broker.settings().partitions;
        let waiting = WaitingDelivery {
            delivery,
            destination,
            lane,
            is_ordered: row.lane_key.is_some(),
        };
        let partition = partition::of_lane(destination, lane, spread, partitions);
        // The journal may be behind what was asked for since.
        Ok(self.workshop.broker.is_waiting(partition, &waiting).await?)
    }

    /// Whether all events are processed that the log had at `time`, none of them held: a delivery of one of them has a row.
    async fn is_all_committed_until(&self, time: Millis) -> Result<bool, JobError> {
        let held = held_events::oldest(self.workshop.store.reader()).await?;
        if held.is_some_and(|oldest| oldest <= time) {
            return Ok(false);
        }
        let committed = partition_progress::all_committed(self.workshop.store.reader()).await?;
        let committed: HashMap<u32, u64> = committed.into_iter().collect();
        for partition in 0..self.workshop.broker.settings().partitions {
            let next = committed.get(&partition).copied().unwrap_or_default() + 1;
            let state = self.workshop.broker.raw_state(partition).await?;
            if state.last_sequence < next {
                continue;
            }
            let first = next.max(state.first_sequence);
            let waiting = self.workshop.broker.raw_get(partition, first).await?;
            if waiting.is_none_or(|waiting| waiting.timestamp_ms <= time) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a body has lain for so long that whoever put it has named it since, or never will.
    fn is_old(&self, object: &FoundObject) -> bool {
        let kept_s = self.workshop.settings.processor_orphan_body_s;
        let kept_ms = Millis::try_from(kept_s.saturating_mul(1000)).unwrap_or(Millis::MAX);
        object.put_at < clock::now_ms().saturating_sub(kept_ms)
    }
}
