//! Reading parked deliveries: always from the stream's leader, which alone knows the first one.

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::RawMessageErrorKind;
use hookrail_domain::ids::DestinationId;
use hookrail_domain::lane::{LaneId, ParkedSubject, TierKey};

use crate::codec::{ParkedDelivery, decode_parked};
use crate::error::{BrokerError, ReaderError};
use crate::parked_store::ParkedStore;

/// Bytes after which the reading of a tier ends early.
const TIER_READ_BYTES_MAX: usize = 1024 * 1024;

/// A delivery as it lies in the parked stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredParked {
    /// Its sequence in the parked stream.
    pub sequence: u64,
    /// Size of its message, bytes.
    pub bytes: usize,
    /// The delivery.
    pub parked: ParkedDelivery,
}

impl ParkedStore {
    /// The first delivery of a lane.
    ///
    /// # Errors
    /// As [`ParkedStore::delete`].
    pub async fn first(&self, lane: LaneId) -> Result<Option<StoredParked>, ReaderError> {
        self.next(ParkedSubject::Lane(lane), 1).await
    }

    /// Deliveries of a tier with a sequence above `after`, in order: `most`, or fewer where there are
    /// fewer, or where they are large.
    ///
    /// # Errors
    /// As [`ParkedStore::delete`].
    pub async fn tier(
        &self,
        destination: DestinationId,
        tier: TierKey,
        after: u64,
        most: u32,
    ) -> Result<Vec<StoredParked>, ReaderError> {
        let subject = ParkedSubject::Tier(destination, tier);
        let (mut found, mut after, mut bytes) = (Vec::new(), after, 0);
        while found.len() < most as usize && bytes < TIER_READ_BYTES_MAX {
            let Some(next) = self.next(subject, after + 1).await? else {
                break;
            };
            after = next.sequence;
            bytes += next.bytes;
            found.push(next);
        }
        Ok(found)
    }

    /// The delivery with this sequence; none where it was deleted.
    ///
    /// # Errors
    /// As [`ParkedStore::delete`].
    pub async fn get(&self, sequence: u64) -> Result<Option<StoredParked>, ReaderError> {
        self.check_lease()?;
        let stream = self.broker.stream_ref(&self.stream).await?;
        self.read(
            stream
                .get_raw_message(sequence)
                .await
                .map_err(|error| (error.kind(), error.to_string())),
        )
    }

    /// Whether the stream still has the message, whatever it is.
    pub(crate) async fn is_stored(&self, sequence: u64) -> Result<bool, ReaderError> {
        let stream = self.broker.stream_ref(&self.stream).await?;
        match stream.get_raw_message(sequence).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(false),
            Err(error) => Err(BrokerError::request(format!("reading {}", self.stream), error).into()),
        }
    }

    async fn next(&self, subject: ParkedSubject, from: u64) -> Result<Option<StoredParked>, ReaderError> {
        self.check_lease()?;
        let stream = self.broker.stream_ref(&self.stream).await?;
        let subject = self
            .broker
            .names()
            .parked_subject(self.lease.partition(), subject);
        let found = stream.get_first_raw_message_by_subject(&subject, from).await;
        self.read(found.map_err(|error| (error.kind(), error.to_string())))
    }

    fn read(
        &self,
        found: Result<StreamMessage, (RawMessageErrorKind, String)>,
    ) -> Result<Option<StoredParked>, ReaderError> {
        let message = match found {
            Ok(message) => message,
            Err((RawMessageErrorKind::NoMessageFound, _)) => return Ok(None),
            Err((_, reason)) => {
                return Err(BrokerError::request(format!("reading {}", self.stream), reason).into());
            }
        };
        let parked = decode_parked(&message.payload).map_err(|error| BrokerError::Unreadable {
            what: format!("message {} of {}", message.sequence, self.stream),
            reason: error.to_string(),
        })?;
        Ok(Some(StoredParked {
            sequence: message.sequence,
            bytes: message.payload.len(),
            parked,
        }))
    }
}
