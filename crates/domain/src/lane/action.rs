//! What the engine wants done. Each action says which input reports that it was.

use super::{AttemptId, CommandAnswer, CommandId, LaneId, Place, Target, TierKey};
use crate::{
    Millis,
    delivery::ErrorCode,
    ids::{DeliveryId, DestinationId},
    retry::{AttemptResult, Progress, Verdict},
};

/// Why a lane waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoldReason {
    /// Its head failed and waits for its next attempt.
    Retry,
    /// More came than is kept in memory.
    Overflow,
    /// It waits for its destination's limits.
    Limit,
    /// Its destination is disabled.
    Disabled,
    /// Its head waits for a person.
    Held,
    /// Its head's route is paused.
    Paused,
}

impl HoldReason {
    /// The reason as the API shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Overflow => "overflow",
            Self::Limit => "limit",
            Self::Disabled => "disabled",
            Self::Held | Self::Paused => "held",
        }
    }
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The receiver has it.
    Delivered,
    /// It used up its retries, or can't be sent.
    Dead(ErrorCode),
    /// Called off, with the reason (`cancelled`, `expired`).
    Cancelled(ErrorCode),
    /// A late copy of one that was settled before: nothing to record.
    Stale,
    /// It lies in the parked stream now, or in another tier of it: nothing to record.
    Moved,
}

/// A subject of the parked stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParkedSubject {
    /// An ordered lane.
    Lane(LaneId),
    /// Unordered deliveries of a destination.
    Tier(DestinationId, TierKey),
}

/// What a takeover has to know of a parked lane's head beyond the message itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneState {
    /// Why the lane waits.
    pub reason: HoldReason,
    /// The head that this is about; of another head it says nothing.
    pub delivery: DeliveryId,
    /// The attempts behind it.
    pub progress: Progress,
}

/// An HTTP attempt to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send {
    /// Names it in [`Input::AttemptFinished`](super::Input::AttemptFinished).
    pub attempt: AttemptId,
    /// Where the message lies.
    pub place: Place,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its destination.
    pub destination: DestinationId,
    /// The attempt's number, from 1: `hookrail-attempt`.
    pub number: u32,
    /// A probe of an open circuit.
    pub probe: bool,
}

/// A delivery to settle for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settle {
    /// Where the message lies.
    pub place: Place,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its destination.
    pub destination: DestinationId,
    /// How it ended.
    pub end: End,
    /// The attempts behind it.
    pub progress: Progress,
}

/// Something for the dispatcher to do, in the order given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    /// Make an attempt; then `AttemptFinished`.
    Send(Send),
    /// Write an attempt's outcome into the journal. Where it is followed by a [`Action::Settle`] of
    /// the same delivery, the journal has it before the settlement begins.
    Record {
        /// The attempt.
        attempt: AttemptId,
        /// Where the message lies.
        place: Place,
        /// The delivery.
        delivery: DeliveryId,
        /// What came back.
        result: AttemptResult,
        /// What it meant.
        verdict: Verdict,
        /// The attempts so far and, where it is to be retried, when.
        progress: Progress,
        /// The delivery ends by it: its settlement follows, at once or when its place is certain.
        settles: bool,
    },
    /// Write into the journal that the head of a lane waits for its route, which is paused. An unordered
    /// delivery's [`Action::Append`] tells that by its reason.
    RecordPaused {
        /// Where the message lies.
        place: Place,
        /// The attempts behind it.
        progress: Progress,
    },
    /// Record the end (dead: hand the delivery over with its body), and when that is durable ack the
    /// queue's message and have it confirmed, or delete the parked one; then `Settled`. With
    /// [`End::Stale`] and [`End::Moved`] there is nothing to record.
    Settle(Settle),
    /// Append the message to the parked stream, with its progress; then `Appended` or `AppendRefused`.
    /// Where the outcome is unknown, give the partition up.
    Append {
        /// Where the message lies until the settlement that follows.
        place: Place,
        /// Where it is appended.
        to: ParkedSubject,
        /// What it carries.
        progress: Progress,
        /// Why it is parked; `Held` marks the message.
        reason: HoldReason,
    },
    /// Read the first message of a parked lane from the leader; then `HeadRead`.
    ReadHead(LaneId),
    /// Read the messages of a tier that come after a sequence; then `TierRead`.
    ReadTier {
        /// The tier's destination.
        destination: DestinationId,
        /// The tier.
        tier: TierKey,
        /// Only those with a higher sequence of the parked stream.
        after: u64,
        /// At most so many.
        most: u32,
    },
    /// Look for a delivery in the parked stream, in its lane or else in the tiers of its destination;
    /// then `Found`.
    Find(CommandId, Target),
    /// Write the state of a parked lane, in the place of the one before; then `LaneStateWritten` or
    /// `LaneStateRefused`. One write of a lane at a time.
    WriteLaneState(LaneId, LaneState),
    /// Delete the lane state with this sequence of the parked stream: the lane is idle.
    DeleteLaneState(LaneId, u64),
    /// The receiver said that it is gone: tell the definitions' owner. The engine treats the
    /// destination as disabled until it is given rules again.
    DestinationGone {
        /// The destination.
        destination: DestinationId,
        /// The delivery that was answered with 410.
        delivery: DeliveryId,
    },
    /// The destination has no more room in the parked stream: what should be parked there is dead until
    /// it has room again. Told once each time.
    OverQuota {
        /// The destination.
        destination: DestinationId,
        /// The first delivery that found no room.
        delivery: DeliveryId,
        /// What the destination has parked in this partition.
        parked_bytes: u64,
    },
    /// A caller waits for this delivery's answer and is known to wait in vain: tell it so. Told at most once
    /// where nothing changes, and only as a courtesy: nothing waits for it.
    CallerInVain {
        /// Where the message lies.
        place: Place,
        /// The delivery.
        delivery: DeliveryId,
    },
    /// Answer a command.
    Answer {
        /// The command.
        command: CommandId,
        /// What became of it.
        answer: CommandAnswer,
    },
}

impl Action {
    /// Says what became of `command`.
    pub(super) fn answer(command: CommandId, answer: CommandAnswer) -> Self {
        Self::Answer { command, answer }
    }
}

/// A lane that waits, as the API lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingLane {
    /// The lane.
    pub lane: LaneId,
    /// Why it waits.
    pub reason: HoldReason,
    /// The delivery at its head, where known.
    pub head: Option<DeliveryId>,
    /// The head's attempts so far.
    pub progress: Progress,
    /// Deliveries in it, the head included.
    pub waiting: u64,
    /// When the head is sent next, where a timer says.
    pub next_at: Option<Millis>,
}
