//! Puts the answer to a fetch into the log. It has the part of the log that the ingress leaves free; where
//! that is full, the fetch waits, and with it only its own lane.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hookrail_broker::{Lease, OutMessage, PublishError, codec};
use hookrail_domain::{
    event::{Body, Event},
    large_body,
};

use crate::{error::PartitionError, own_partitions::Shared};

/// The pause before the broker is given again what it did not take.
const PAUSE: Duration = Duration::from_millis(250);

/// Publishes until the broker has it for certain, or the lease is over. What was published twice has one id.
pub(crate) async fn publish_answer(
    shared: &Shared,
    lease: &Lease,
    mut event: Event,
) -> Result<(), PartitionError> {
    place_body(shared, lease, &mut event).await?;
    // Under the workspace: the log counts what is under a source as received by it.
    let (id, subject, partition) = (
        event.id.to_string(),
        event.workspace.to_string(),
        event.id.partition(),
    );
    let payload = codec::encode_event(event);
    while lease.holds() {
        let message = OutMessage {
            id: &id,
            body_hash: None,
            event_id: Some(&id),
            payload: payload.clone(),
        };
        match shared.publisher.publish_event(partition, &subject, message).await {
            Ok(_) => return Ok(()),
            Err(error @ PublishError::TooLarge { .. }) => return Err(error.into()),
            Err(error) => wait(&id, &error).await,
        }
    }
    Err(PartitionError::Replaced)
}

/// Puts a body that is too large for a message into the object store.
async fn place_body(shared: &Shared, lease: &Lease, event: &mut Event) -> Result<(), PartitionError> {
    let body = match &event.body {
        Body::Inline(bytes) if bytes.len() > shared.publisher.max_inline_bytes() => Arc::clone(bytes),
        _ => return Ok(()),
    };
    let (name, size) = (large_body::object_name(event.id, &body, 0), body.len() as u64);
    let body = Bytes::from_owner(body);
    while lease.holds() {
        match shared.publisher.put_object(&name, body.clone()).await {
            Ok(()) => {
                event.body = Body::Object { name, size };
                return Ok(());
            }
            Err(error @ PublishError::TooLarge { .. }) => return Err(error.into()),
            Err(error) => wait(&name, &error).await,
        }
    }
    Err(PartitionError::Replaced)
}

async fn wait(what: &str, error: &PublishError) {
    tracing::warn!(what, %error, "an answer to a fetch waits to be put into the log");
    tokio::time::sleep(PAUSE).await;
}
