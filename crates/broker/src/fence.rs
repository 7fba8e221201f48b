//! The fence of a delivery partition: the epoch below which no parked write is taken.
//!
//! Every write of parked deliveries names the fence's sequence; once a newer owner has moved the
//! fence, writes of older owners are refused by the server, however late they come.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;

use crate::connection::Broker;
use crate::error::{BrokerError, ReaderError};
use crate::group_consumer::replaced;
use crate::lease::Lease;
use crate::publish::PublishError;

pub(crate) const HEADER_EXPECTED_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
pub(crate) const HEADER_EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
pub(crate) const HEADER_ROLLUP: &str = "Nats-Rollup";

/// How often a fence whose publish has an unknown outcome is looked at again.
const TRIES_MAX: usize = 3;

/// A fence as it stands: whose it is, and the sequence that fenced writes must name.
struct Fence {
    epoch: u64,
    sequence: u64,
}

/// Moves the partition's fence to the lease's epoch; gives the fence's sequence.
pub(crate) async fn move_fence(broker: &Broker, lease: &Lease) -> Result<u64, ReaderError> {
    let mut reason = String::new();
    for _ in 0..TRIES_MAX {
        let found = read_fence(broker, lease.partition()).await?;
        if found.epoch > lease.epoch() || !lease.holds() {
            return Err(replaced(lease));
        }
        if found.epoch == lease.epoch() {
            return Ok(found.sequence);
        }
        match publish_fence(broker, lease, found.sequence).await {
            Ok(sequence) => return Ok(sequence),
            // Moved by somebody meanwhile, or perhaps by the try before: look again.
            Err(error) => reason = error.to_string(),
        }
    }
    let what = format!("moving the fence of partition {}", lease.partition());
    Err(BrokerError::Request { what, reason }.into())
}

async fn read_fence(broker: &Broker, partition: u32) -> Result<Fence, BrokerError> {
    let names = broker.names();
    let stream = broker.stream_ref(&names.parked_stream(partition)).await?;
    let subject = names.fence_subject(partition);
    match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(message) => {
            let text = std::str::from_utf8(&message.payload).ok();
            let epoch = text.and_then(|text| text.parse().ok());
            let epoch = epoch.ok_or_else(|| BrokerError::Unreadable {
                what: subject,
                reason: "no epoch in it".to_owned(),
            })?;
            Ok(Fence {
                epoch,
                sequence: message.sequence,
            })
        }
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(Fence {
            epoch: 0,
            sequence: 0,
        }),
        Err(error) => Err(BrokerError::request(format!("reading {subject}"), error)),
    }
}

async fn publish_fence(broker: &Broker, lease: &Lease, last: u64) -> Result<u64, PublishError> {
    let subject = broker.names().fence_subject(lease.partition());
    let expected = subject.clone();
    let headers = || {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_EXPECTED_SEQUENCE, last.to_string());
        headers.insert(HEADER_EXPECTED_SUBJECT, expected.as_str());
        headers.insert(HEADER_ROLLUP, "sub");
        headers
    };
    let payload = Bytes::from(lease.epoch().to_string());
    let published = broker.publisher().publish_with(subject, headers, payload).await?;
    Ok(published.sequence)
}
