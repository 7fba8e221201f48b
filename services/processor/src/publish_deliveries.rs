//! Publishing a batch's deliveries: one in flight per lane, lanes beside each other, each with its own
//! id, so that a repetition is known by the broker. Returns only when all are stored for certain, or
//! the lease is over.

use std::collections::HashMap;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use hookrail_broker::{Lease, OutMessage, PublishError, Publisher, codec};
use hookrail_domain::{delivery::Delivery, journal::StateRecord, partition, snapshot::Snapshot};

use crate::{back_off::BackOff, error::GiveUp, metrics::ProcessorMetrics, render_delivery};

/// Lanes of a batch that are published beside each other.
const LANES_AT_ONCE: usize = 64;
/// The longest pause before a publish is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What is needed to publish deliveries of one partition.
pub(crate) struct DeliveryPublisher<'a> {
    pub(crate) publisher: &'a Publisher,
    pub(crate) lease: &'a Lease,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) partitions: u32,
    pub(crate) metrics: &'a ProcessorMetrics,
}

impl DeliveryPublisher<'_> {
    /// Publishes all; gives the records of those that are too large for a message.
    pub(crate) async fn publish(&self, deliveries: Vec<&Delivery>) -> Result<Vec<StateRecord>, GiveUp> {
        // Boxed, since the compiler can't see that a stream of borrowing futures is `Send`.
        let lanes: Vec<BoxFuture<'_, _>> = by_lane(deliveries)
            .into_iter()
            .map(|lane| self.publish_lane(lane).boxed())
            .collect();
        let dead: Vec<Vec<StateRecord>> = stream::iter(lanes)
            .buffer_unordered(LANES_AT_ONCE)
            .try_collect()
            .await?;
        Ok(dead.into_iter().flatten().collect())
    }

    async fn publish_lane(&self, lane: Vec<&Delivery>) -> Result<Vec<StateRecord>, GiveUp> {
        let mut dead = Vec::new();
        for delivery in lane {
            if let Some(record) = self.publish_one(delivery).await? {
                dead.push(record);
            }
        }
        Ok(dead)
    }

    async fn publish_one(&self, delivery: &Delivery) -> Result<Option<StateRecord>, GiveUp> {
        let id = delivery.id.to_string();
        let destination = delivery.destination.to_string();
        let lane = delivery.lane();
        let spread = self
            .snapshot
            .destination(delivery.destination)
            .map_or(1, |destination| destination.spec.spread);
        let partition = partition::of_lane(delivery.destination, lane, spread, self.partitions);
        let payload = codec::encode_delivery(delivery);
        let lane = format!("{lane:016x}");
        let mut back_off = BackOff::new(Duration::from_millis(50), LONGEST_PAUSE);
        loop {
            if !self.lease.holds() {
                return Err(GiveUp::LeaseOver);
            }
            let message = OutMessage::plain(&id, payload.clone());
            let reason = match self
                .publisher
                .publish_delivery(partition, &destination, &lane, message)
                .await
            {
                Ok(_) => return Ok(None),
                Err(PublishError::TooLarge { bytes, limit }) => {
                    let reason = format!("{bytes} bytes are more than the {limit} that a message may have");
                    return Ok(Some(*render_delivery::dead(delivery, reason)));
                }
                Err(PublishError::Fenced) => return Err(GiveUp::Replaced),
                Err(PublishError::Refused { reason }) => ("refused", reason),
                Err(PublishError::Unknown { reason }) => ("unknown", reason),
            };
            self.metrics.publish_retries.with_label_values(&[reason.0]).inc();
            tracing::warn!(
                delivery = id,
                partition,
                outcome = reason.0,
                reason = reason.1,
                "publishing a delivery again"
            );
            back_off.pause().await;
        }
    }
}

/// The deliveries of each lane, in order.
fn by_lane(deliveries: Vec<&Delivery>) -> Vec<Vec<&Delivery>> {
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut lanes: Vec<Vec<&Delivery>> = Vec::new();
    for delivery in deliveries {
        let place = *places.entry(delivery.lane()).or_insert(lanes.len());
        match lanes.get_mut(place) {
            Some(lane) => lane.push(delivery),
            None => lanes.push(vec![delivery]),
        }
    }
    lanes
}
