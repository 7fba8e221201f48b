//! How far a delivery partition is behind, for people on call.

use async_nats::jetstream::stream::RawMessageErrorKind;
use hookrail_domain::Millis;

use crate::codec::decode_parked;
use crate::connection::Broker;
use crate::error::{BrokerError, ReaderError};
use crate::names::CONSUMER_DISPATCHER;
use crate::parked_store::ParkedStore;

impl Broker {
    /// Deliveries in a partition's queue that no owner was given yet.
    ///
    /// # Errors
    /// When the broker can't be asked, or the partition was never owned.
    pub async fn delivery_lag(&self, partition: u32) -> Result<u64, BrokerError> {
        let name = self.names().delivery_stream(partition);
        let failed = |reason: String| BrokerError::request(format!("the consumer of {name}"), reason);
        let stream = self.stream_ref(&name).await?;
        let info = stream.consumer_info(CONSUMER_DISPATCHER).await;
        Ok(info.map_err(|error| failed(error.to_string()))?.num_pending)
    }
}

impl ParkedStore {
    /// When the event of the delivery was accepted that has lain longest in the partition's parked
    /// stream since it was put there; none where nothing is parked.
    ///
    /// # Errors
    /// As [`ParkedStore::delete`].
    pub async fn oldest_accepted_at(&self) -> Result<Option<Millis>, ReaderError> {
        self.check_lease()?;
        let mut oldest: Option<Millis> = None;
        for kind in ["k", "u"] {
            let accepted_at = self.first_accepted_at(kind).await?;
            oldest = [oldest, accepted_at].into_iter().flatten().min();
        }
        Ok(oldest)
    }

    async fn first_accepted_at(&self, kind: &str) -> Result<Option<Millis>, BrokerError> {
        let failed = |reason: String| BrokerError::request(format!("reading {}", self.stream), reason);
        let stream = self.broker.stream_ref(&self.stream).await?;
        let filter = self.broker.names().parked_kind(self.lease.partition(), kind);
        let message = match stream.get_first_raw_message_by_subject(&filter, 1).await {
            Ok(message) => message,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        let parked = decode_parked(&message.payload).map_err(|error| failed(error.to_string()))?;
        Ok(Some(parked.delivery.accepted_at))
    }
}
