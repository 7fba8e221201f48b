//! What a takeover finds parked, and what comes again from the queue until it has given all that the owner
//! before had.

use std::collections::HashMap;

use super::{
    HoldReason, LaneId, PartitionLanes, front::Stage, input::ParkedSet, parked::ParkedLane,
    partition_lanes::Turn,
};

impl PartitionLanes {
    /// Takes what a takeover found. Every lane's head is read once, in turn.
    pub(super) fn load(&mut self, set: ParkedSet, turn: &mut Turn<'_>) {
        for found in set.lanes {
            let id = found.lane;
            self.know(id.destination, turn);
            self.count_found(id.destination, found.count, set.mean_bytes);
            let reason = found
                .state
                .map_or(HoldReason::Overflow, |(state, _)| state.reason);
            let mut parked = ParkedLane::new(reason, found.count);
            parked.state = found.state.map(|(state, _)| state);
            parked.state_at = found.state.map(|(_, at)| at);
            if !self.caught_up {
                self.parked_to.insert(id, found.last_sequence);
            }
            self.lanes.entry(id).or_default().parked = Some(Box::new(parked));
            self.next_parked(id, turn);
        }
        for (destination, tier, count) in set.tiers {
            self.know(destination, turn);
            self.count_found(destination, count, set.mean_bytes);
            self.load_tier(destination, tier, count);
        }
    }

    /// True for what comes from the queue once more although a takeover found it parked.
    pub(super) fn is_parked(&self, id: LaneId, sequence: u64) -> bool {
        self.parked_to.get(&id).is_some_and(|last| sequence <= *last)
    }

    /// The queue has given all that the owner before had: what ended meanwhile can be settled.
    pub(super) fn catch_up(&mut self, turn: &mut Turn<'_>) {
        if std::mem::replace(&mut self.caught_up, true) {
            return;
        }
        self.parked_to = HashMap::new();
        for unit in std::mem::take(&mut self.ended_early) {
            if let Some(Stage::Ended(end)) = self.head_mut(unit).map(|head| head.stage) {
                self.settle(unit, end, turn);
            }
        }
    }

    /// A destination that was never given is deleted: what is parked for it is cancelled.
    fn know(&mut self, destination: crate::ids::DestinationId, turn: &Turn<'_>) {
        let unknown = || super::destination_gate::Gate::unknown(&self.limits, turn.now);
        self.gates.entry(destination).or_insert_with(unknown);
    }
}
