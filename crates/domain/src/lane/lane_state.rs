//! The state of a parked lane, on disk beside its messages, so that its counts and times survive a takeover.

use super::{
    Action, CommandAnswer, HoldReason, LaneId, LaneState, PartitionLanes, front::Unit, parked::Writing,
    partition_lanes::Turn,
};

impl PartitionLanes {
    pub(super) fn write_state(&mut self, id: LaneId, reason: HoldReason, turn: &mut Turn<'_>) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let (Some(parked), Some(head)) = (&mut lane.parked, &lane.head) else {
            return;
        };
        parked.reason = reason;
        if parked.writing != Writing::No {
            parked.writing = Writing::Outdated;
            return;
        }
        parked.writing = Writing::Begun;
        let state = LaneState {
            reason,
            delivery: head.item.delivery,
            progress: head.progress,
        };
        turn.actions.push(Action::WriteLaneState(id, state));
    }

    pub(super) fn state_written(&mut self, id: LaneId, at: u64, turn: &mut Turn<'_>) {
        let Some(parked) = self.lanes.get_mut(&id).and_then(|lane| lane.parked.as_mut()) else {
            turn.actions.push(Action::DeleteLaneState(id, at));
            return self.answer_written(id, CommandAnswer::Done, turn);
        };
        parked.state_at = parked.state_at.max(Some(at));
        let reason = parked.reason;
        let outdated = std::mem::take(&mut parked.writing) == Writing::Outdated;
        if outdated
            && self
                .head_mut(Unit::Lane(id))
                .is_some_and(|head| head.is_waiting())
        {
            self.write_state(id, reason, turn);
        } else {
            self.answer_written(id, CommandAnswer::Done, turn);
        }
    }

    pub(super) fn state_refused(&mut self, id: LaneId, turn: &mut Turn<'_>) {
        if let Some(parked) = self.lanes.get_mut(&id).and_then(|lane| lane.parked.as_mut()) {
            parked.writing = Writing::No;
        }
        self.answer_written(id, CommandAnswer::Busy, turn);
    }
}
