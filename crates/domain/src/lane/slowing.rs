//! Destinations that had much in memory since they settled it fast, and do so no more: what waits for them
//! there is put aside, or it would take the places of others in the queue.

use super::{
    HoldReason, LaneId, Parking, PartitionLanes, Place,
    front::{Head, Stage},
    partition_lanes::Turn,
};
use crate::ids::DestinationId;

impl PartitionLanes {
    /// Puts aside what waits in memory for destinations that no longer keep up.
    pub(super) fn put_aside_what_slowed_down(&mut self, turn: &mut Turn<'_>) {
        if self.holding_much.is_empty() || self.parking == Parking::Off || self.draining {
            return;
        }
        for id in std::mem::take(&mut self.holding_much) {
            let Some(gate) = self.gates.get(&id).filter(|gate| !gate.deleted) else {
                continue;
            };
            match gate.parks(&self.limits, turn.now) {
                Some(reason) if gate.holds_much(&self.limits) => self.put_aside(id, reason, turn),
                _ if gate.holds_much(&self.limits) => drop(self.holding_much.insert(id)),
                _ => {}
            }
        }
    }

    /// Puts aside what is beyond what any destination may have in memory, the newest first. Looks at all
    /// that is there: a destination slows down seldom.
    fn put_aside(&mut self, id: DestinationId, reason: HoldReason, turn: &mut Turn<'_>) {
        let may = self.gates.get(&id).map_or(0, |gate| gate.much(&self.limits));
        let stays = |head: &Head| !matches!(head.stage, Stage::Moving | Stage::Settling);
        let heads = self.singles.iter().filter(|(place, head)| {
            head.item.destination == id && matches!(place, Place::Queue(_)) && stays(head)
        });
        let (mut waiting, mut there) = (Vec::new(), 0);
        for (place, head) in heads {
            there += 1;
            waiting.extend(head.is_waiting().then_some(*place));
        }
        let mut lanes: Vec<(usize, LaneId)> = self
            .lanes
            .iter()
            .filter(|(lane, state)| lane.destination == id && state.parked.is_none())
            .map(|(lane, state)| (usize::from(state.head.is_some()) + state.queue.len(), *lane))
            .filter(|(messages, _)| *messages > 0)
            .collect();
        there += lanes.iter().map(|(messages, _)| messages).sum::<usize>();
        let mut excess = there.saturating_sub(may);
        waiting.sort_unstable();
        for place in waiting.into_iter().rev().take(excess) {
            excess -= 1;
            self.move_to_tier(place, reason, turn);
        }
        lanes.sort_unstable();
        while let Some((messages, lane)) = lanes.pop().filter(|_| excess > 0) {
            excess = excess.saturating_sub(messages);
            self.park(lane, reason, turn);
        }
    }
}
