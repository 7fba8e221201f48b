//! Callers that wait for an answer and are known to wait in vain: they are told at once, not at the end
//! of their time. The delivery itself goes on waiting.

use super::{
    Action, HoldReason, LaneId, Parking, PartitionLanes,
    front::{Head, Item, Stage, Unit},
    partition_lanes::Turn,
};
use crate::{Millis, retry::Verdict};

impl PartitionLanes {
    /// A delivery came to the front.
    pub(super) fn tell_caller_of(&mut self, unit: Unit, turn: &mut Turn<'_>) {
        let Some(item) = self.head_mut(unit).map(|head| head.item) else {
            return;
        };
        let at = self.not_sent_before(unit);
        tell(&item, at, turn);
    }

    /// A delivery came to wait behind its lane's head.
    pub(super) fn tell_caller_behind(&mut self, id: LaneId, item: &Item, turn: &mut Turn<'_>) {
        let at = self.not_sent_before(Unit::Lane(id));
        tell(item, at, turn);
    }

    /// The head's attempt ended: where it waits for another one, or for a person, so do those behind it.
    pub(super) fn tell_callers_behind(&mut self, unit: Unit, verdict: Verdict, turn: &mut Turn<'_>) {
        let at = match verdict {
            Verdict::Delivered => return,
            Verdict::Retry { after_ms, .. } => turn.now.saturating_add(after_ms),
            Verdict::Dead { .. } if self.holds_dead(unit) => Millis::MAX,
            Verdict::Dead { .. } => return,
            Verdict::DisableDestination => Millis::MAX,
        };
        match unit {
            Unit::Lane(id) => {
                let queue = self.lanes.get(&id).map(|lane| &lane.queue);
                queue.into_iter().flatten().for_each(|item| tell(item, at, turn));
            }
            // A lane's head is looked at when it begins to wait; this one may leave the memory.
            _ if self.parking == Parking::On => {
                let item = self.head_mut(unit).map(|head| head.item);
                item.iter().for_each(|item| tell(item, at, turn));
            }
            _ => {}
        }
    }

    /// The moment before which the unit surely sends nothing, as far as is known.
    fn not_sent_before(&mut self, unit: Unit) -> Millis {
        let gate = self.gates.get(&unit.destination());
        if gate.is_some_and(|gate| !gate.rules.enabled && !gate.deleted) {
            return Millis::MAX;
        }
        let held = match unit {
            Unit::Lane(id) => self.lanes.get(&id).and_then(|lane| lane.parked.as_ref()),
            _ => None,
        };
        let held = held.is_some_and(|parked| parked.reason() == HoldReason::Held);
        match self.head_mut(unit) {
            Some(Head {
                stage: Stage::Until(at),
                ..
            }) => *at,
            Some(Head {
                stage: Stage::Held, ..
            }) if held => Millis::MAX,
            Some(Head {
                stage: Stage::Paused, ..
            }) => Millis::MAX,
            _ => 0,
        }
    }
}

fn tell(item: &Item, at: Millis, turn: &mut Turn<'_>) {
    // Who has gone by now was told already.
    let in_vain = |until: Millis| until < at && until > turn.now;
    if item.caller.is_some_and(|caller| in_vain(caller.waits_until)) {
        turn.actions.push(Action::CallerInVain {
            place: item.place,
            delivery: item.delivery,
        });
    }
}
