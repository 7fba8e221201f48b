//! Parking: appending to the parked stream, reading from it, and the states of lanes.

use std::time::Duration;

use hookrail_broker::{Append, ParkedStore, ReaderError, StoredParked, codec::ParkedDelivery};
use hookrail_domain::{
    delivery::Delivery,
    ids::DestinationId,
    lane::{
        Arrival, Caller, HoldReason, LaneId, LaneKey, LaneState, ParkedMessage, ParkedSubject, Place, TierKey,
    },
    retry::Progress,
    short_id::ShortId,
};

use crate::{
    bodies::Held, carry_out::Done, error::PartitionError, partition_task::PartitionTask, settle::until_taken,
};

/// The pause before the broker is asked again for what it did not answer.
const ASK_PAUSE: Duration = Duration::from_millis(200);
/// How often a lane state that is refused is written again: without it a takeover forgets the counts of
/// the lane's head, and nothing else.
const STATE_TRIES_MAX: u32 = 20;

impl PartitionTask<'_> {
    pub(crate) fn append(&mut self, place: Place, to: ParkedSubject, progress: Progress, reason: HoldReason) {
        let (held, store) = (self.bodies.get(place), self.store.clone());
        let in_tier = matches!(to, ParkedSubject::Tier(..));
        let recorder = (in_tier && reason == HoldReason::Paused).then(|| self.recorder.clone());
        self.beside.spawn(async move {
            let Held {
                delivery,
                queue_sequence,
            } = body_of(held, &store, place).await?;
            let held = reason == HoldReason::Held;
            let parked = ParkedDelivery {
                delivery,
                queue_sequence,
                progress,
                held,
            };
            match store.append(to, &parked).await? {
                Append::Stored(at) => {
                    if let Some(recorder) = recorder {
                        until_taken(|| recorder.is_held(&parked.delivery, progress)).await?;
                    }
                    Ok(Done::Appended {
                        place,
                        to,
                        parked: at,
                    })
                }
                Append::Refused { reason } => {
                    tracing::warn!(
                        reason,
                        "the parked stream takes no more; what should wait there stays in the queue"
                    );
                    Ok(Done::AppendRefused(place))
                }
            }
        });
    }

    /// Tells the journal that what lies at `place` waits for its route.
    pub(crate) fn record_paused(&mut self, place: Place, progress: Progress) {
        let (held, store, recorder) = (self.bodies.get(place), self.store.clone(), self.recorder.clone());
        self.beside.spawn(async move {
            match body_of(held, &store, place).await {
                Ok(held) => until_taken(|| recorder.is_held(&held.delivery, progress)).await?,
                // A person was quicker: it was sent, or cancelled.
                Err(PartitionError::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
            Ok(Done::Recorded)
        });
    }

    pub(crate) fn read_head(&mut self, lane: LaneId) {
        let store = self.store.clone();
        self.beside.spawn(async move {
            let stored = until_answered(|| store.first(lane)).await?;
            Ok(Done::HeadRead(lane, stored.map(Box::new)))
        });
    }

    pub(crate) fn read_tier(&mut self, destination: DestinationId, tier: TierKey, after: u64, most: u32) {
        let store = self.store.clone();
        self.beside.spawn(async move {
            let messages = until_answered(|| store.tier(destination, tier, after, most)).await?;
            Ok(Done::TierRead {
                destination,
                tier,
                messages,
            })
        });
    }

    pub(crate) fn write_state(&mut self, lane: LaneId, state: LaneState) {
        let store = self.store.clone();
        self.beside.spawn(async move {
            for _ in 0..STATE_TRIES_MAX {
                if let Append::Stored(sequence) = store.write_state(lane, &state).await? {
                    return Ok(Done::StateWritten(lane, sequence));
                }
                tokio::time::sleep(ASK_PAUSE).await;
            }
            tracing::warn!(delivery = %state.delivery, "a lane's state was not taken; a takeover will not know it");
            Ok(Done::StateRefused(lane))
        });
    }

    pub(crate) fn delete_state(&mut self, sequence: u64) {
        let store = self.store.clone();
        self.beside.spawn(async move {
            until_answered(|| store.delete(sequence)).await?;
            Ok(Done::StateDeleted)
        });
    }
}

/// A parked delivery as the engine sees it.
pub(crate) fn parked_arrival(stored: &StoredParked) -> ParkedMessage {
    let parked = &stored.parked;
    ParkedMessage {
        parked: stored.sequence,
        arrival: arrival(parked.queue_sequence, &parked.delivery, stored.bytes),
        progress: parked.progress,
        held: parked.held,
    }
}

/// A delivery as the engine sees it.
pub(crate) fn arrival(sequence: u64, delivery: &Delivery, bytes: usize) -> Arrival {
    Arrival {
        sequence,
        delivery: delivery.id,
        destination: delivery.destination,
        lane: delivery
            .lane_key
            .is_some()
            .then(|| LaneKey::from_u64(delivery.lane())),
        route: delivery.route.map(|route| ShortId::of(route.as_u128())),
        origin: delivery.place_in_order(),
        caller: delivery.reply.as_ref().map(|reply| Caller {
            deadline: reply.deadline,
            waits_until: reply.waits_until,
            drop_late: reply.drop_late,
        }),
        bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
    }
}

/// The delivery at `place`, read again where it is not in memory.
pub(crate) async fn body_of(
    held: Option<Held>,
    store: &ParkedStore,
    place: Place,
) -> Result<Held, PartitionError> {
    if let Some(held) = held {
        return Ok(held);
    }
    let Place::Parked(sequence) = place else {
        unreachable!("what lies in the queue is kept until it is settled");
    };
    let stored = until_answered(|| store.get(sequence)).await?;
    let parked = stored.ok_or(PartitionError::Gone { sequence })?.parked;
    Ok(Held {
        delivery: parked.delivery,
        queue_sequence: parked.queue_sequence,
    })
}

/// Asks until the broker answers. For what changes nothing when it is done twice; the lease's end ends it.
pub(crate) async fn until_answered<T, F>(ask: impl Fn() -> F) -> Result<T, PartitionError>
where
    F: Future<Output = Result<T, ReaderError>>,
{
    loop {
        match ask().await {
            Err(ReaderError::Broker(error @ hookrail_broker::BrokerError::Request { .. })) => {
                tracing::debug!(%error, "the parked stream is asked again");
                tokio::time::sleep(ASK_PAUSE).await;
            }
            answered => return Ok(answered?),
        }
    }
}
