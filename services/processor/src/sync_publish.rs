//! Publishing what syncs have stored to be sent. What is published and not noted so yet is published again after a
//! crash, under the same id, unless the journal has it already.

use std::collections::HashSet;

use hookrail_broker::Lease;
use hookrail_domain::{
    delivery::{Delivery, EntityRef},
    destination::{Destination, DestinationOrdering},
    event::{Body, Origin},
    event_type::SYNC_RECORD,
    ids::{DeliveryId, RunId, WorkspaceId},
    journal::DeliveryFacts,
    partition,
    snapshot::Snapshot,
    sync::{self, SyncSpec},
};
use hookrail_runtime::TraceParent;
use hookrail_store::{
    deliveries,
    sync_runs::RunRow,
    sync_sends::{self, SendRow},
};

use crate::{consume_partition::Workshop, jobs::JobError, publish_deliveries::DeliveryPublisher};

/// Records published at once.
const AT_ONCE: u32 = 1_000;

/// What is published, and for whom.
pub(crate) struct Publishing<'a> {
    pub(crate) workshop: &'a Workshop,
    pub(crate) lease: &'a Lease,
    pub(crate) row: &'a RunRow,
    pub(crate) run: RunId,
    pub(crate) spec: &'a SyncSpec,
}

impl Publishing<'_> {
    /// Publishes what a crash may have left. `false`: its destination is not there any more.
    pub(crate) async fn leftovers(&self) -> Result<bool, JobError> {
        loop {
            let reader = self.workshop.store.reader();
            let sends = sync_sends::unpublished(reader, self.run, AT_ONCE).await?;
            if sends.is_empty() {
                return Ok(true);
            }
            let ids: Vec<DeliveryId> = sends
                .iter()
                .filter_map(|send| send.delivery.parse().ok())
                .collect();
            let told = deliveries::load(reader, &ids).await?;
            let told: HashSet<String> = told.into_iter().map(|row| row.id).collect();
            if !self.publish(&sends, &told).await? {
                return Ok(false);
            }
        }
    }

    /// Publishes `sends` but for those of which the journal was `told`, and notes that. `false`: their destination is
    /// not there any more.
    pub(crate) async fn publish(&self, sends: &[SendRow], told: &HashSet<String>) -> Result<bool, JobError> {
        let snapshot = self.workshop.snapshots.current();
        let Some(destination) = snapshot.destination(self.spec.destination) else {
            return Ok(false);
        };
        let made = sends
            .iter()
            .filter_map(|send| self.delivery(send, destination, &snapshot));
        let all: Vec<Delivery> = made.collect();
        let publisher = DeliveryPublisher {
            publisher: &self.workshop.broker.publisher(),
            lease: self.lease,
            snapshot: &snapshot,
            partitions: self.workshop.broker.settings().partitions,
            metrics: &self.workshop.metrics,
        };
        let new = all
            .iter()
            .filter(|delivery| !told.contains(&delivery.id.to_string()));
        let new: Vec<&Delivery> = new.collect();
        self.workshop.metrics.deliveries_planned.inc_by(new.len() as u64);
        let dead = publisher.publish(new).await?;
        let ids: Vec<DeliveryId> = all.iter().map(|delivery| delivery.id).collect();
        let facts: Vec<DeliveryFacts> = all.iter().map(DeliveryFacts::from).collect();
        let transaction = self.workshop.store.write().await?;
        deliveries::insert_planned(&*transaction, &facts).await?;
        deliveries::raise(&*transaction, &dead).await?;
        sync_sends::published(&*transaction, &ids).await?;
        transaction.commit().await?;
        Ok(true)
    }

    fn delivery(&self, send: &SendRow, destination: &Destination, snapshot: &Snapshot) -> Option<Delivery> {
        let id: DeliveryId = send.delivery.parse().ok()?;
        let workspace: WorkspaceId = self.row.workspace.parse().ok()?;
        let entity = self.spec.from.entities.as_ref().map(|entity_type| EntityRef {
            entity_type: entity_type.clone(),
            unique_id: send.row_key.clone(),
            version: send.entity_version.clone().unwrap_or_default(),
        });
        // The same record has the same trace, however often it is published.
        let hash = partition::hash(&[b"trace", &id.as_u128().to_be_bytes()]);
        let mut trace = [0; 24];
        trace.copy_from_slice(&hash[..24]);
        Some(Delivery {
            id,
            event: sync::event_of(self.run),
            event_type: SYNC_RECORD.to_owned(),
            workspace,
            source: None,
            destination: destination.id,
            route: None,
            entity,
            lane_key: match destination.spec.ordering {
                DestinationOrdering::None => None,
                DestinationOrdering::Key => Some(send.lane_key.clone()),
                DestinationOrdering::Destination => Some("*".to_owned()),
            },
            // It comes from no event of the log; its number is its place among the run's.
            origin: Origin {
                partition: 0,
                sequence: 0,
                index: u32::try_from(send.number).unwrap_or(u32::MAX),
            },
            revision: snapshot.revision(),
            accepted_at: self.row.created_at,
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            body: Body::inline(send.body.as_deref().unwrap_or_default()),
            traceparent: TraceParent::new(trace).to_string(),
            replay: None,
            reply: None,
            generation: 0,
            attempts_before: 0,
            was_held: false,
            fetcher: None,
        })
    }
}
