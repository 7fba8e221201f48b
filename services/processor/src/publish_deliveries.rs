//! Publishing a batch's deliveries: one in flight per lane, lanes beside each other, each with its own
//! id, so that a repetition is known by the broker. Returns only when all are stored for certain, or
//! the lease is over.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use hookrail_broker::{Lease, OutMessage, PublishError, Publisher, codec};
use hookrail_domain::{
    delivery::Delivery, event::Body, journal::StateRecord, large_body, partition, snapshot::Snapshot,
};

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
        let placed = match self.place_body(delivery).await? {
            Ok(delivery) => delivery,
            Err(reason) => return Ok(Some(*render_delivery::dead(delivery, reason))),
        };
        let payload = codec::encode_delivery(&placed);
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

/// A delivery whose body is where it belongs; the reason, where it can't be stored at all.
type Placed<'d> = Result<Cow<'d, Delivery>, String>;

impl DeliveryPublisher<'_> {
    /// Puts a body that is too large for a message into the object store. Waits for room there as for
    /// room in the queue.
    async fn place_body<'d>(&self, delivery: &'d Delivery) -> Result<Placed<'d>, GiveUp> {
        let body = match &delivery.body {
            Body::Inline(bytes) if bytes.len() > self.publisher.max_inline_bytes() => Arc::clone(bytes),
            _ => return Ok(Ok(Cow::Borrowed(delivery))),
        };
        let name = large_body::object_name(delivery.id, &body, delivery.generation);
        let size = body.len() as u64;
        let body = Bytes::from_owner(body);
        let mut back_off = BackOff::new(Duration::from_millis(50), LONGEST_PAUSE);
        loop {
            match self.publisher.put_object(&name, body.clone()).await {
                Ok(()) => break,
                Err(error @ PublishError::TooLarge { .. }) => return Ok(Err(error.to_string())),
                Err(error) => {
                    self.metrics.publish_retries.with_label_values(&["object"]).inc();
                    back_off.again(self.lease, &error).await?;
                }
            }
        }
        // Cloning a body costs nothing: it is shared.
        Ok(Ok(Cow::Owned(Delivery {
            body: Body::Object { name, size },
            ..delivery.clone()
        })))
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
