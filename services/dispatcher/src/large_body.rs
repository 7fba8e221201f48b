//! Bodies that are in the object store: read for each attempt, within what memory there is for them, and
//! removed once their delivery is settled.

use std::time::Duration;

use bytes::Bytes;
use hookrail_broker::{LargeMemory, Lease};
use hookrail_domain::{event::Body, lane::End};

use crate::{error::PartitionError, own_partitions::Shared};

/// The pause before the broker is asked again for what it did not give.
const ASK_PAUSE: Duration = Duration::from_millis(200);

/// A body at hand, with the memory that it has as long as this is kept.
pub(crate) struct BodyAtHand {
    /// The body; none where it is gone.
    pub(crate) bytes: Option<Bytes>,
    _memory: Option<LargeMemory>,
}

/// Reads a body, until the broker answers or the lease is over.
pub(crate) async fn read_body(
    shared: &Shared,
    lease: &Lease,
    body: &Body,
) -> Result<BodyAtHand, PartitionError> {
    let (name, size) = match body {
        Body::Inline(bytes) => {
            return Ok(BodyAtHand {
                bytes: Some(Bytes::from_owner(std::sync::Arc::clone(bytes))),
                _memory: None,
            });
        }
        Body::Object { name, size } => (name, *size),
    };
    let memory = shared.broker.large_memory(size).await;
    while lease.holds() {
        match shared.broker.get_object(name, size).await {
            Ok(bytes) => {
                return Ok(BodyAtHand {
                    bytes,
                    _memory: Some(memory),
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the object store is asked again");
                tokio::time::sleep(ASK_PAUSE).await;
            }
        }
    }
    Err(PartitionError::Replaced)
}

/// Removes the body of a delivery that has ended, and surely will not be sent again from here. That of a
/// dead one is the journal's. What can't be removed now is swept some day.
pub(crate) async fn remove_body(shared: &Shared, body: &Body, end: End) {
    let Body::Object { name, .. } = body else { return };
    if !matches!(end, End::Delivered | End::Cancelled(_)) {
        return;
    }
    if let Err(error) = shared.broker.delete_object(name).await {
        tracing::warn!(%error, name, "the body of a settled delivery is left to be swept");
    }
}
