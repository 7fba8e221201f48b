//! Sending a dead delivery again: its dead letter is published as it was, one generation on, which alone
//! takes a delivery back from dead.

use hookrail_broker::{JournalKind, OutMessage, PublishError, codec};
use hookrail_domain::delivery::{Delivery, DeliveryStatus};
use hookrail_domain::destination::Destination;
use hookrail_domain::journal::{DeliveryFacts, Record, StateRecord};
use hookrail_domain::partition;
use hookrail_store::deliveries::DeliveryRow;
use hookrail_store::queries;

use crate::error::ApiError;
use crate::state::ConfigState;

/// Publishes the dead delivery of `row` again. Twice is once: the broker knows the id, and later the
/// journal the generation.
pub(crate) async fn revive(
    state: &ConfigState,
    row: &DeliveryRow,
    destination: &Destination,
) -> Result<(), ApiError> {
    let found = queries::dead_letters::once_more(state.store.reader(), row).await?;
    let Some(delivery) = found else {
        let detail = "its body is not kept any more, so there is nothing to send";
        return Err(ApiError::conflict("dead-letter-expired", detail));
    };
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
