//! The order engine: which delivery of a partition is sent when, and when it is settled.
//!
//! [`PartitionLanes`] is the state of one partition's lanes. It gets [`Input`]s with the time and
//! answers with [`Action`]s; the dispatcher carries them out and reports back. There is no clock, no
//! randomness, no I/O and no lock here, and bodies never come near it.
//!
//! What it holds to:
//! - In an ordered lane delivery n+1 is not attempted before n is settled (its ack or delete confirmed).
//! - A waiting lane holds up no other; a destination's limits hold up no other destination.
//! - What came through a paused route is not attempted, unless a person asks for it.
//! - A message is settled only by an outcome, a person, or the end of its destination.
//! - In an ordered lane, nothing un-acked in the queue and not parked lies below a parked sequence.

mod action;
mod arrival;
mod attempt;
mod callers;
mod commands;
mod destination_gate;
mod front;
mod input;
mod lane_state;
mod limits;
mod listing;
mod ordered;
mod pace;
mod parked;
mod parked_heads;
mod parked_takeover;
mod partition_lanes;
mod paused_routes;
mod quota;
mod settling;
mod single;
mod slowing;
mod tier;
mod tier_key;
mod timers;
mod turns;

pub use crate::delivery::LanePlace;
pub use crate::event::Origin;
pub use crate::token_bucket::{RateRule, TokenBucket};
pub use action::{Action, End, HoldReason, LaneState, ParkedSubject, Send, Settle, WaitingLane};
pub use arrival::{Arrival, Caller, LaneId, LaneKey, ParkedMessage, Place};
pub use destination_gate::DestinationRules;
pub use input::{
    AttemptId, Command, CommandAnswer, CommandId, FoundLane, Input, ParkedSet, Search, Target, Verb,
};
pub use limits::{Limits, Parking, Takeover};
pub use partition_lanes::PartitionLanes;
pub use tier_key::TierKey;
