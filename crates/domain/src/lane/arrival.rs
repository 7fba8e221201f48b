//! What the engine knows of a message: who it is for, its place in the order, where it lies.

use crate::{
    Millis,
    delivery::LanePlace,
    ids::{DeliveryId, DestinationId},
    retry::Progress,
    short_id::ShortId,
};

/// An ordered lane of a destination, by its number: a hash of destination and ordering key
/// ([`partition::lane_hash`](crate::partition::lane_hash)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey(u64);

impl LaneKey {
    /// The lane with this number.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A lane among all lanes of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId {
    /// Whom it is for.
    pub destination: DestinationId,
    /// Which of the destination's lanes.
    pub key: LaneKey,
}

/// Where a message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Un-acked in the partition's queue, with its sequence there.
    Queue(u64),
    /// In the partition's parked stream, with its sequence there.
    Parked(u64),
}

/// A message of the parked stream, as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParkedMessage {
    /// Its sequence in the parked stream.
    pub parked: u64,
    /// What arrived once, with the sequence that it had in the queue.
    pub arrival: Arrival,
    /// The attempts behind it when it was appended.
    pub progress: Progress,
    /// It was appended to wait for a person.
    pub held: bool,
}

/// A caller that waits for a delivery's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Until when an answer is wanted: later, what could not be sent is not tried again.
    pub deadline: Millis,
    /// Until when the caller waits.
    pub waits_until: Millis,
    /// Whether the delivery is cancelled (`expired`) where it was not sent by the deadline.
    pub drop_late: bool,
}

/// A message that came from the partition's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its sequence in the queue.
    pub sequence: u64,
    /// The delivery that it carries.
    pub delivery: DeliveryId,
    /// Whom it is for.
    pub destination: DestinationId,
    /// Its ordered lane; `None` stands for itself.
    pub lane: Option<LaneKey>,
    /// The route that it came by; what is paused of it is not sent.
    pub route: Option<ShortId>,
    /// Its place in the lane's order; `None` for a replay, which is never stale.
    pub origin: Option<LanePlace>,
    /// A caller waits: the first answer settles it.
    pub caller: Option<Caller>,
    /// Size of the message, in bytes, for the destination's quota.
    pub bytes: u32,
}

impl Arrival {
    /// The lane that it belongs to, where it belongs to one.
    pub fn lane_id(&self) -> Option<LaneId> {
        self.lane.map(|key| LaneId {
            destination: self.destination,
            key,
        })
    }
}
