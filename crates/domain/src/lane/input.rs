//! What the engine is told.

use std::collections::BTreeSet;

use super::{
    Arrival, DestinationRules, LaneId, LaneKey, LaneState, ParkedMessage, ParkedSubject, Place, RateRule,
    TierKey,
};
use crate::{
    ids::{DeliveryId, DestinationId},
    retry::AttemptResult,
    short_id::ShortId,
};

/// Names an attempt while it is in flight; unique within one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub u64);

/// Names a command, so that its answer finds the asker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// What a person asks of a delivery or a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// Names it.
    pub id: CommandId,
    /// What is asked.
    pub verb: Verb,
    /// Of what.
    pub target: Target,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Send it now, whatever it waits for.
    Retry,
    /// Give the head up as dead and go on with the next.
    Skip,
    /// Never send it.
    Cancel,
    /// Send nothing of the lane until told to. Only heads of lanes are held.
    Hold,
}

/// Of what something is asked: a delivery, wherever it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The delivery. A lane is named by the delivery at its head, so that a command that comes twice
    /// doesn't hit the next one.
    pub delivery: DeliveryId,
    /// Whom it is for.
    pub destination: DestinationId,
    /// Its ordered lane, where it is in one.
    pub lane: Option<LaneKey>,
}

impl Target {
    /// The ordered lane that it is in.
    pub fn lane_id(&self) -> Option<LaneId> {
        let destination = self.destination;
        self.lane.map(|key| LaneId { destination, key })
    }
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandAnswer {
    /// Done, and durable: no takeover undoes it.
    Done,
    /// It waits behind another delivery of its lane, and what is asked can only be done of the head.
    NotHead,
    /// It was sent meanwhile, and the receiver has it.
    Delivered,
    /// It doesn't wait here: it has not arrived yet, or is settled.
    NotFound,
    /// It is on its way from one place to another at this moment; ask again.
    Busy,
}

/// How a search in the parked stream ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Search {
    /// The delivery lies there.
    Here(ParkedSubject, Box<ParkedMessage>),
    /// It is not there.
    Nowhere,
    /// It did not come to its end.
    Broken,
}

/// An ordered lane that a takeover found in the parked stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundLane {
    /// The lane.
    pub lane: LaneId,
    /// Its messages there; 0 where only a state was left.
    pub count: u64,
    /// The sequence that the last of them had in the queue.
    pub last_sequence: u64,
    /// Its state, with the state's sequence in the parked stream.
    pub state: Option<(LaneState, u64)>,
}

/// What a takeover found in the parked stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParkedSet {
    /// The ordered lanes.
    pub lanes: Vec<FoundLane>,
    /// The tiers: how many messages each holds.
    pub tiers: Vec<(DestinationId, TierKey, u64)>,
    /// The mean size of what the stream holds, bytes: what a message counts for its destination's quota
    /// until it is gone.
    pub mean_bytes: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A destination's definition, at the start and at each change; `None` when it is deleted. An
    /// arrival for a destination that was never given, or is deleted, is cancelled: give the rules first.
    Destination(DestinationId, Option<Box<DestinationRules>>),
    /// The routes that are paused now: at the start, before anything that came through one, and at each change.
    PausedRoutes(BTreeSet<ShortId>),
    /// A message came from the queue; one whose sequence is held already is ignored.
    Arrived(Arrival),
    /// An attempt ended.
    AttemptFinished {
        /// The attempt, as given by `Send`.
        attempt: AttemptId,
        /// What came of it.
        result: AttemptResult,
        /// A random value in [0, 1) for the wait before the next.
        jitter: f64,
    },
    /// A `Settle` is done and confirmed. Where confirmation fails or stays out, don't report it:
    /// give the partition up and drop the engine.
    Settled(Place),
    /// An `Append` is on disk, with this sequence of the parked stream.
    Appended {
        /// Where the message lay.
        place: Place,
        /// Its sequence in the parked stream.
        parked: u64,
    },
    /// An `Append` was certainly not taken.
    AppendRefused(Place),
    /// The first message of a parked lane.
    HeadRead(LaneId, Option<Box<ParkedMessage>>),
    /// Messages of a tier, in order.
    TierRead {
        /// The tier's destination.
        destination: DestinationId,
        /// The tier.
        tier: TierKey,
        /// What was read.
        messages: Vec<ParkedMessage>,
    },
    /// A lane state is on disk, with this sequence of the parked stream.
    LaneStateWritten(LaneId, u64),
    /// A lane state was certainly not taken.
    LaneStateRefused(LaneId),
    /// What a [`Find`](super::Action::Find) came upon.
    Found(CommandId, Search),
    /// What was parked when the partition was taken over; after the destinations, before the first arrival.
    Parked(ParkedSet),
    /// All that the owner before may have had from the queue has arrived: from now on a parked
    /// message has no second copy on its way. Wanted after an unclean takeover; an arrival beyond
    /// [`Takeover::delivered`](super::Takeover::delivered) says the same.
    CaughtUp,
    /// A person asks something.
    Command(Command),
    /// This partition's share of what its worker may do has changed.
    Share {
        /// HTTP exchanges at once.
        in_flight: u32,
        /// Attempts per second.
        attempts: RateRule,
    },
    /// Time has passed.
    Tick,
    /// The partition is handed over: nothing more is begun.
    Drain,
}
