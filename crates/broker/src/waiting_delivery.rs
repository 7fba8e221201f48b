//! Whether a delivery still waits somewhere, in its queue or among the parked ones: asked before its body
//! is removed as nobody's.
//!
//! The queue takes no second consumer, so its messages are looked at one by one, those of the
//! delivery's lane only. In doubt, and beyond a limit, it counts as waiting.

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::stream::RawMessageErrorKind;
use hookrail_domain::ids::{DeliveryId, DestinationId};
use hookrail_domain::lane::{LaneId, LaneKey, ParkedSubject};

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::look::{Look, LookPlan};
use crate::message::HEADER_MESSAGE_ID;
use crate::parked_store::HEADER_DELIVERY;

/// Messages of one lane that are looked at.
const QUEUED_MAX: usize = 1_000;
/// How many headers of parked deliveries are on the way.
const WINDOW_MESSAGES: usize = 2_000;

/// A delivery, as far as it can be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingDelivery {
    /// Its id.
    pub delivery: DeliveryId,
    /// Where it goes.
    pub destination: DestinationId,
    /// The number of its lane.
    pub lane: u64,
    /// Whether the lane has an order.
    pub is_ordered: bool,
}

impl Broker {
    /// Whether `delivery` lies in the queue of `partition`, or parked there.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn is_waiting(&self, partition: u32, delivery: &WaitingDelivery) -> Result<bool, BrokerError> {
        Ok(self.is_queued(partition, delivery).await? || self.is_parked(partition, delivery).await?)
    }

    async fn is_queued(&self, partition: u32, delivery: &WaitingDelivery) -> Result<bool, BrokerError> {
        let stream = self.stream_ref(&self.names().delivery_stream(partition)).await?;
        let lane = format!("{:016x}", delivery.lane);
        let destination = delivery.destination.to_string();
        let subject = self.names().delivery_subject(partition, &destination, &lane);
        let mut sequence = 1;
        for _ in 0..QUEUED_MAX {
            let message = match stream.get_first_raw_message_by_subject(&subject, sequence).await {
                Ok(message) => message,
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(false),
                Err(error) => return Err(BrokerError::request("looking into a queue", error)),
            };
            let id = message.headers.get(HEADER_MESSAGE_ID);
            if id.is_none_or(|id| is_of(id.as_str(), delivery.delivery)) {
                return Ok(true);
            }
            sequence = message.sequence + 1;
        }
        Ok(true)
    }

    async fn is_parked(&self, partition: u32, delivery: &WaitingDelivery) -> Result<bool, BrokerError> {
        let filter = match delivery.is_ordered {
            true => self.names().parked_subject(
                partition,
                ParkedSubject::Lane(LaneId {
                    destination: delivery.destination,
                    key: LaneKey::from_u64(delivery.lane),
                }),
            ),
            false => self.names().tier_subjects(partition, delivery.destination),
        };
        let plan = LookPlan {
            stream: self.names().parked_stream(partition),
            from: DeliverPolicy::All,
            filters: vec![filter],
            headers_only: true,
            window_messages: WINDOW_MESSAGES,
        };
        let mut look = Look::open(self, plan).await?;
        let found = search_parked(&mut look, delivery.delivery).await;
        look.close().await;
        found
    }
}

async fn search_parked(look: &mut Look, delivery: DeliveryId) -> Result<bool, BrokerError> {
    let wanted = delivery.to_string();
    while let Some((message, _)) = look.next().await? {
        let headers = message.headers.as_ref();
        let id = headers.and_then(|headers| headers.get(HEADER_DELIVERY));
        // One without the header was parked by an older version.
        if id.is_none_or(|id| id.as_str() == wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a message's id is that of a delivery, or of one of its retries.
fn is_of(message_id: &str, delivery: DeliveryId) -> bool {
    let rest = message_id.strip_prefix(&delivery.to_string());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_of_its_delivery() {
        let delivery = DeliveryId::from_u128(7);
        for (id, expected) in [
            (delivery.to_string(), true),
            (format!("{delivery}.r2"), true),
            (DeliveryId::from_u128(8).to_string(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_of(&id, delivery), expected, "{id}");
        }
    }
}
