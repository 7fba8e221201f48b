//! What the engine is told.

use super::{Arrival, DestinationRules, LaneId, Place};
use crate::{
    ids::{DeliveryId, DestinationId},
    retry::AttemptResult,
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
    /// Send nothing of the lane until told to.
    Hold,
}

/// Of what something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The head of an ordered lane.
    Lane(LaneId),
    /// A delivery that waits in memory, at its lane's head or behind it.
    Delivery(DeliveryId),
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandAnswer {
    /// Done, or under way and certain.
    Done,
    /// There is no such lane or delivery here.
    NotFound,
    /// It is being sent or settled at this moment; ask again.
    Busy,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A destination's definition, at the start and at each change; `None` when it is deleted. An
    /// arrival for a destination that was never given, or is deleted, is cancelled: give the rules first.
    Destination(DestinationId, Option<Box<DestinationRules>>),
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
    /// A person asks something.
    Command(Command),
    /// Time has passed.
    Tick,
    /// The partition is handed over: nothing more is begun.
    Drain,
}
