//! The limits of a partition's lanes, and how the partition was taken over.

use super::RateRule;
use crate::{Millis, circuit::CircuitRule};

/// Whether waiting deliveries leave the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parking {
    /// They stay un-acked in memory until settled; the consumer's `max_ack_pending` bounds them.
    #[default]
    Off,
    /// They are appended to the parked stream and acked.
    On,
}

/// The limits that all lanes of a partition share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// HTTP exchanges at once, in all.
    pub in_flight: u32,
    /// HTTP exchanges at once, for one destination, whatever it asks for: a destination that hangs
    /// must not fill what all share.
    pub destination_in_flight: u32,
    /// Attempts per second, in all: many waiting lanes must not starve the rest.
    pub attempts: RateRule,
    /// When circuits open.
    pub circuit: CircuitRule,
    /// Idle lanes whose last settled origins are remembered.
    pub remembered_lanes: usize,
    /// Messages of a lane that wait in memory behind its head before the lane is parked.
    pub lane_waiting: usize,
    /// Messages of a destination that wait in memory, besides as many as may be in flight, before more are parked.
    pub destination_waiting: usize,
    /// Messages of a destination that may wait in memory as long as it settles them fast.
    pub destination_held: usize,
    /// Retry steps of unordered deliveries that have a tier each; later ones share the last.
    pub tiers: u8,
    /// Messages of a tier read at once.
    pub tier_read: u32,
    /// Wait before a refused append, or a read that found nothing, is tried again, in ms.
    pub parked_retry_ms: Millis,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 1_024,
            destination_in_flight: 128,
            attempts: RateRule {
                per_second: 10_000.0,
                burst: 2_000.0,
            },
            circuit: CircuitRule::default(),
            remembered_lanes: 10_000,
            lane_waiting: 16,
            destination_waiting: 32,
            destination_held: 400,
            tiers: 8,
            tier_read: 64,
            parked_retry_ms: 1_000,
        }
    }
}

/// How the partition was taken over. The default is a clean hand-over: nothing was left in anyone's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Takeover {
    /// After an unclean one: the queue's last sequence at that moment. What the consumer says it
    /// delivered is not enough, for an owner that dies at once leaves a new consumer that delivered
    /// nothing, while what the owner before it sent may still be on its way.
    pub delivered: u64,
    /// Ordered lanes with messages up to `delivered`, and parked lanes, send nothing before this
    /// moment: what the owner before was sending may still arrive.
    pub not_before: Millis,
}
