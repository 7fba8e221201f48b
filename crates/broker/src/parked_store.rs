//! What an owner writes to the parked stream: deliveries that wait, and the states of their lanes.
//!
//! Every write names the partition's fence, so one of an older owner is refused however late it
//! comes. A write is sent once and never repeated: a second copy in an ordered lane would be a
//! delivery out of order, so of a write whose fate is unknown nothing may follow.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use hookrail_domain::lane::{LaneId, LaneState, ParkedSubject};
use serde::{Deserialize, Serialize};

use crate::codec::{ParkedDelivery, encode_lane_state, encode_parked};
use crate::connection::Broker;
use crate::error::{BrokerError, ReaderError};
use crate::fence::HEADER_ROLLUP;
use crate::group_consumer::replaced;
use crate::lease::Lease;
use crate::parked_room::ParkedRoom;
use crate::parked_writer::{ParkedWriter, Write};

/// The sequence that a parked delivery had in its queue, so that a takeover needs no bodies.
pub(crate) const HEADER_QUEUE_SEQUENCE: &str = "Hookrail-Queue-Sequence";
/// A parked delivery's id, so that it is found without reading bodies.
pub(crate) const HEADER_DELIVERY: &str = "Hookrail-Delivery";
/// The revision of the definitions that a parked delivery was planned under.
pub(crate) const HEADER_REVISION: &str = "Hookrail-Revision";

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Append {
    /// It is on disk, with this sequence of the parked stream.
    Stored(u64),
    /// It was certainly not stored: the stream is full, or is not there at the moment.
    Refused {
        /// What the server said.
        reason: String,
    },
}

/// The parked deliveries of one partition, under a lease. Clones are the same.
#[derive(Clone)]
pub struct ParkedStore {
    pub(crate) broker: Broker,
    pub(crate) lease: Lease,
    pub(crate) stream: Arc<str>,
    pub(crate) fence_sequence: u64,
    writer: ParkedWriter,
    room: Arc<ParkedRoom>,
}

#[derive(Serialize)]
struct DeleteRequest {
    seq: u64,
    /// Without it the server overwrites the message's bytes, which takes far longer.
    no_erase: bool,
}

#[derive(Deserialize)]
struct Deleted {}

impl ParkedStore {
    pub(crate) fn new(broker: &Broker, lease: &Lease, fence_sequence: u64) -> ParkedStore {
        ParkedStore {
            broker: broker.clone(),
            lease: lease.clone(),
            stream: broker.names().parked_stream(lease.partition()).into(),
            fence_sequence,
            writer: ParkedWriter::new(broker, lease, fence_sequence),
            room: Arc::default(),
        }
    }

    /// Appends a delivery to its lane or tier.
    ///
    /// Appends of one lane must follow each other; those of different lanes may be under way at once.
    ///
    /// # Errors
    /// [`ReaderError::Fenced`] where a newer owner has moved the fence; [`ReaderError::Broker`] where
    /// the outcome is unknown. Give the partition up on both.
    pub async fn append(&self, to: ParkedSubject, parked: &ParkedDelivery) -> Result<Append, ReaderError> {
        let subject = self.broker.names().parked_subject(self.lease.partition(), to);
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_QUEUE_SEQUENCE, parked.queue_sequence.to_string());
        headers.insert(HEADER_REVISION, parked.delivery.revision.to_string());
        headers.insert(HEADER_DELIVERY, parked.delivery.id.to_string());
        let payload = encode_parked(parked);
        // Nothing was sent yet, so whatever fails here leaves the outcome certain.
        let bytes = payload.len() as u64;
        match self.room.take(&self.broker, &self.stream, bytes).await {
            Ok(true) => {
                self.writer
                    .write(Write {
                        subject,
                        headers,
                        payload,
                    })
                    .await
            }
            Ok(false) => Ok(Append::Refused {
                reason: "the parked stream is full: what is left of it is kept for its owners".to_owned(),
            }),
            Err(error) => Ok(Append::Refused {
                reason: error.to_string(),
            }),
        }
    }

    /// Writes a lane's state in the place of the one before.
    ///
    /// # Errors
    /// As [`ParkedStore::append`].
    pub async fn write_state(&self, lane: LaneId, state: &LaneState) -> Result<Append, ReaderError> {
        let subject = self
            .broker
            .names()
            .lane_state_subject(self.lease.partition(), lane);
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_ROLLUP, "sub");
        let payload = encode_lane_state(state);
        self.writer
            .write(Write {
                subject,
                headers,
                payload,
            })
            .await
    }

    /// Deletes a message, a delivery or a state, by its sequence; one that is gone already is fine.
    ///
    /// # Errors
    /// [`ReaderError::Replaced`] where the lease is over. [`ReaderError::Broker`]: call again.
    pub async fn delete(&self, sequence: u64) -> Result<(), ReaderError> {
        self.check_lease()?;
        let subject = format!("STREAM.MSG.DELETE.{}", self.stream);
        let request = DeleteRequest {
            seq: sequence,
            no_erase: true,
        };
        let failed =
            |reason: String| BrokerError::request(format!("deleting parked message {sequence}"), reason);
        let answer = self.broker.jetstream().request(subject, &request).await;
        match answer.map_err(|error| failed(error.to_string()))? {
            Response::Ok(Deleted {}) => Ok(()),
            Response::Err { error } if is_gone(error.error_code()) => Ok(()),
            Response::Err { .. } if !self.is_stored(sequence).await? => Ok(()),
            Response::Err { error } => Err(failed(error.to_string()).into()),
        }
    }

    pub(crate) fn check_lease(&self) -> Result<(), ReaderError> {
        if self.lease.holds() {
            Ok(())
        } else {
            Err(replaced(&self.lease))
        }
    }
}

/// What the server answers where there is no such message (any more).
fn is_gone(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NO_MESSAGE_FOUND | ErrorCode::SEQUENCE_NOT_FOUND)
}
