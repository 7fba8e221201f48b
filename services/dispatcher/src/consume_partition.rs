//! One partition's loop: what comes in goes to the order engine, what it decides is carried out.
//!
//! One task owns the engine, so there is no lock. Whatever waits for the broker or a receiver runs
//! beside it. Any doubt about ownership, or about a write's fate, ends the loop with an error: the
//! partition is then taken over anew, from what the broker has.

use std::{sync::Arc, time::Duration};

use hookrail_broker::{DeliveryMessage, DeliveryReader, FoundParked, HandOver, Lease};
use hookrail_domain::{delivery::Delivery, lane::Input};
use hookrail_runtime::clock;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{
    error::PartitionError,
    own_partitions::Shared,
    park::until_answered,
    partition_task::PartitionTask,
    read_ahead::{Read, ReadAhead},
};

/// How long one wait for a revision of the definitions takes before it is begun again.
const REVISION_WAIT: Duration = Duration::from_secs(1);

/// How a partition's task is told to end.
pub(crate) struct Orders {
    /// At once: the partition is lost.
    pub(crate) stop: CancellationToken,
    /// When nothing is in flight any more: the partition is handed over.
    pub(crate) drain: oneshot::Receiver<()>,
}

/// Delivers what is in the partition of `lease` until `orders` say otherwise. Says whether it was left
/// clean: nothing that an owner sent can still be on its way.
pub(crate) async fn consume_partition(
    shared: &Arc<Shared>,
    lease: &Lease,
    mut orders: Orders,
) -> Result<HandOver, PartitionError> {
    let reader = DeliveryReader::open(&shared.broker, lease).await?;
    let found = tokio::select! {
        () = orders.stop.cancelled() => return Ok(HandOver::Unclean),
        _ = &mut orders.drain => return Ok(hand_over(!lease.unclean_takeover())),
        found = find_parked(shared, lease, &reader) => found?,
    };
    let mut task = PartitionTask::new(shared, lease, &reader);
    task.load(found);
    let mut requests = shared.broker.owner_requests(lease).await?;
    let mut reader = ReadAhead::start(reader);
    let mut ahead: Option<(DeliveryMessage, Delivery)> = None;
    let mut draining = false;
    loop {
        task.take_changes();
        if !draining {
            task.observe();
        }
        if draining && task.is_drained() {
            return Ok(hand_over(task.lanes.is_clean(clock::now_ms())));
        }
        let revision = ahead.as_ref().map(|(_, delivery)| delivery.revision);
        let wake = task.sleep();
        tokio::select! {
            biased;
            () = orders.stop.cancelled() => return Ok(HandOver::Unclean),
            Ok(()) = &mut orders.drain, if !draining => {
                draining = true;
                task.apply(Input::Drain);
            }
            Some((request, asked)) = requests.next() => task.request(request, asked),
            Some(done) = task.beside.join_next(), if !task.beside.is_empty() => {
                task.done(done.map_err(|error| PartitionError::Beside(error.to_string()))??);
            }
            known = shared.snapshots.wait_for(revision.unwrap_or_default(), REVISION_WAIT), if revision.is_some() => {
                if let (true, Some((message, delivery))) = (known, ahead.take_if(|_| known)) {
                    task.arrive(&message, delivery);
                }
            }
            // What comes while draining stays un-acked, for the next owner.
            Some(read) = reader.next(), if ahead.is_none() && task.lanes.wants_more(clock::now_ms()) => {
                let message = match read? {
                    _ if draining => continue,
                    Read::Message(message) => message,
                    Read::CaughtUp => {
                        task.apply(Input::CaughtUp);
                        continue;
                    }
                };
                let Some(delivery) = task.decode(&message) else { continue };
                match delivery.revision <= shared.snapshots.current().revision() {
                    true => task.arrive(&message, delivery),
                    false => ahead = Some((message, delivery)),
                }
            }
            () = tokio::time::sleep(wake) => task.apply(Input::Tick),
        }
    }
}

/// What was parked before, once the definitions that it was planned under are known here: a
/// destination that is not known would be taken for a deleted one.
async fn find_parked(
    shared: &Shared,
    lease: &Lease,
    reader: &DeliveryReader,
) -> Result<FoundParked, PartitionError> {
    let store = reader.parked_store();
    let found = until_answered(|| store.load()).await?;
    while !shared.snapshots.wait_for(found.revision, REVISION_WAIT).await {
        if !lease.holds() {
            return Err(PartitionError::Replaced);
        }
    }
    Ok(found)
}

fn hand_over(clean: bool) -> HandOver {
    if clean { HandOver::Clean } else { HandOver::Unclean }
}
