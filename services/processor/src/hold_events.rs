//! What a commit writes of held events: those of paused sources are kept with their bytes, and those that were
//! processed are kept no more.

use std::collections::BTreeMap;

use hookrail_broker::codec;
use hookrail_domain::ids::SourceId;
use hookrail_store::{
    StoreError, WriteTransaction,
    held_events::{self, HeldWrite},
    sea_orm::ConnectionTrait,
};

use crate::{
    commit::Evaluated,
    evaluate::{Arrival, Verdict},
    fetch_bodies::apart,
};

/// Keeps the events that are to be held, as they lie in the log.
pub(crate) async fn hold<C: ConnectionTrait>(connection: &C, events: &[Evaluated]) -> Result<(), StoreError> {
    let held = events
        .iter()
        .filter(|(_, evaluation)| evaluation.verdict == Verdict::Held);
    let writes: Vec<HeldWrite> = held.filter_map(|(arrival, _)| write(arrival)).collect();
    match writes.is_empty() {
        true => Ok(()),
        false => held_events::insert(connection, &writes).await,
    }
}

/// Only what has a source is held.
fn write(arrival: &Arrival) -> Option<HeldWrite> {
    let event = &arrival.event;
    // Its body was not fetched, so that it is as it came; a clone shares it.
    let message = codec::encode_event(event.clone());
    Some(HeldWrite {
        partition: arrival.partition,
        sequence: arrival.sequence,
        source: event.source?,
        event: event.id,
        stored_at: arrival.stored_at,
        bytes: message.len() as u64 + apart(&event.body),
        message: message.to_vec(),
    })
}

/// Takes processed events off what is held: these are the first ones held of their sources. `false`: they were
/// not held any more.
pub(crate) async fn release(
    transaction: &WriteTransaction,
    partition: u32,
    events: &[Evaluated],
) -> Result<bool, StoreError> {
    let mut of_sources: BTreeMap<SourceId, (u64, u64)> = BTreeMap::new();
    for (arrival, _) in events {
        let Some(source) = arrival.event.source else {
            continue;
        };
        let (count, through) = of_sources.entry(source).or_default();
        *count += 1;
        *through = arrival.sequence.max(*through);
    }
    for (source, (count, through)) in of_sources {
        if held_events::release(&**transaction, partition, source, through).await? != count {
            return Ok(false);
        }
    }
    Ok(true)
}
