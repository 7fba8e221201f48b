//! Sending a dead delivery again: its dead letter is published as it was, one generation on, which alone
//! takes a delivery back from dead.

use std::sync::Arc;

use bytes::Bytes;
use hookrail_broker::{JournalKind, LargeMemory, OutMessage, PublishError, codec};
use hookrail_domain::delivery::{Delivery, DeliveryStatus};
use hookrail_domain::destination::Destination;
use hookrail_domain::event::Body;
use hookrail_domain::journal::{DeliveryFacts, Record, StateRecord};
use hookrail_domain::large_body;
use hookrail_domain::partition;
use hookrail_store::deliveries::DeliveryRow;
use hookrail_store::{dead_letters, queries};

use crate::error::ApiError;
use crate::state::ConfigState;

/// Publishes the dead delivery of `row` again. Twice is once: the broker knows the id, and later the
/// journal the generation.
pub(crate) async fn revive(
    state: &ConfigState,
    row: &DeliveryRow,
    destination: &Destination,
) -> Result<(), ApiError> {
    let expired = || {
        let detail = "its body is not kept any more, so there is nothing to send";
        ApiError::conflict("dead-letter-expired", detail)
    };
    let id = row.id.parse().map_err(|_| expired())?;
    let sizes = dead_letters::sizes(state.store.reader(), &[id]).await?;
    let _memory = large_memory(state, sizes.get(&id).copied().unwrap_or_default()).await;
    let found = queries::dead_letters::once_more(state.store.reader(), row).await?;
    let mut delivery = found.ok_or_else(expired)?;
    place_body(state, &mut delivery)
        .await?
        .then_some(())
        .ok_or_else(expired)?;
    let lane = delivery.lane();
    let partitions = state.broker.settings().partitions;
    let partition = partition::of_lane(destination.id, lane, destination.spec.spread, partitions);
    let id = format!("{}.r{}", delivery.id, delivery.generation);
    let message = OutMessage::plain(&id, codec::encode_delivery(&delivery));
    let publisher = state.broker.publisher();
    publisher
        .publish_delivery(
            partition,
            &destination.id.to_string(),
            &format!("{lane:016x}"),
            message,
        )
        .await
        .map_err(|error| refused(&error))?;
    record(state, partition, &delivery).await;
    Ok(())
}

/// Memory for a body that is too large for a message.
async fn large_memory(state: &ConfigState, size: u64) -> Option<LargeMemory> {
    let is_large = size > state.broker.max_inline_bytes() as u64;
    match is_large {
        true => Some(state.broker.large_memory(size).await),
        false => None,
    }
}

/// Puts a body that is too large for a message into the object store, under the name of this generation.
/// `false`: its dead letter names one that is not there any more.
async fn place_body(state: &ConfigState, delivery: &mut Delivery) -> Result<bool, ApiError> {
    let bytes = match &delivery.body {
        Body::Inline(bytes) => Bytes::from_owner(Arc::clone(bytes)),
        Body::Object { name, size } => match state.broker.get_object(name, *size).await? {
            Some(bytes) => bytes,
            None => return Ok(false),
        },
    };
    if bytes.len() <= state.broker.max_inline_bytes() {
        delivery.body = Body::inline(&bytes[..]);
        return Ok(true);
    }
    let name = large_body::object_name(delivery.id, &bytes, delivery.generation);
    let size = bytes.len() as u64;
    let put = state.broker.publisher().put_object(&name, bytes).await;
    put.map_err(|error| refused(&error))?;
    delivery.body = Body::Object { name, size };
    Ok(true)
}

/// Tells the journal. The delivery is owed by now: where this fails, its next attempt tells.
async fn record(state: &ConfigState, partition: u32, delivery: &Delivery) {
    let record = StateRecord {
        delivery: DeliveryFacts::from(delivery),
        status: DeliveryStatus::Pending,
        epoch: 0,
        attempts: delivery.attempts_before,
        next_at: None,
        settled_at: None,
        failure: None,
        generation: delivery.generation,
        attempt: None,
    };
    let (_, payload) = codec::encode_record(&Record::State(Box::new(record)));
    let id = format!("{}.p{}", delivery.id, delivery.generation);
    let published = state
        .broker
        .publisher()
        .publish_journal(JournalKind::State, partition, &id, payload)
        .await;
    if let Err(error) = published {
        tracing::warn!(delivery = %delivery.id, %error, "the journal was not told of a retry");
    }
}

fn refused(error: &PublishError) -> ApiError {
    tracing::warn!(%error, "a dead delivery was not published again");
    ApiError::Unavailable("the broker did not take it: it may or may not be sent; ask again".to_owned())
}
