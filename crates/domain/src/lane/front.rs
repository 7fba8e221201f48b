//! The delivery at the front of a lane, or one that stands for itself: what is sent next.

use super::{Arrival, AttemptId, Caller, End, LaneId, LanePlace, Place, TierKey};
use crate::{
    Millis,
    ids::{DeliveryId, DestinationId},
    retry::Progress,
    short_id::ShortId,
};

/// What takes its turn at a destination: a lane by its head, or a delivery by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Unit {
    Lane(LaneId),
    Single(DestinationId, Place),
    /// Unordered deliveries in the parked stream, not read yet.
    Tier(DestinationId, TierKey),
}

impl Unit {
    pub(super) fn destination(self) -> DestinationId {
        match self {
            Self::Lane(lane) => lane.destination,
            Self::Single(destination, _) | Self::Tier(destination, _) => destination,
        }
    }
}

/// A message as the engine keeps it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) place: Place,
    /// Its sequence in the queue, wherever it lies now.
    pub(super) sequence: u64,
    pub(super) delivery: DeliveryId,
    pub(super) destination: DestinationId,
    /// The route that it came by.
    pub(super) route: Option<ShortId>,
    pub(super) origin: Option<LanePlace>,
    pub(super) caller: Option<Caller>,
    /// Size of the message, bytes.
    pub(super) bytes: u32,
    /// The tier that it was read from.
    pub(super) tier: Option<TierKey>,
}

impl Item {
    pub(super) fn new(arrival: &Arrival) -> Self {
        Self {
            place: Place::Queue(arrival.sequence),
            sequence: arrival.sequence,
            delivery: arrival.delivery,
            destination: arrival.destination,
            route: arrival.route,
            origin: arrival.origin,
            caller: arrival.caller,
            bytes: arrival.bytes,
            tier: None,
        }
    }
}

impl Item {
    /// True where its caller wants it no more.
    pub(super) fn is_too_late(&self, now: Millis) -> bool {
        self.caller
            .is_some_and(|caller| caller.drop_late && caller.deadline < now)
    }
}

/// What a head is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// In its destination's ready list.
    Ready,
    /// Waits for a moment, with a timer.
    Until(Millis),
    /// Waits for a person.
    Held,
    /// Waits until its route is paused no more.
    Paused,
    /// Being sent.
    InFlight(AttemptId),
    /// Being appended to a tier.
    Moving,
    /// Ended while it was being parked: settled once its place is certain.
    Ended(End),
    /// Ended; its settlement is under way.
    Settling,
}

/// The delivery whose turn it is.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) item: Item,
    pub(super) progress: Progress,
    pub(super) stage: Stage,
    /// Its body was read for its turn just now.
    pub(super) just_read: bool,
    /// A person wants it sent, though its route is paused.
    pub(super) is_urged: bool,
}

impl Head {
    /// A head that was not looked at yet: held until it is.
    pub(super) fn new(item: Item, progress: Progress) -> Self {
        Self {
            item,
            progress,
            stage: Stage::Held,
            just_read: false,
            is_urged: false,
        }
    }

    /// True where a person may still change what becomes of it.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(
            self.stage,
            Stage::Ready | Stage::Until(_) | Stage::Held | Stage::Paused
        )
    }
}
