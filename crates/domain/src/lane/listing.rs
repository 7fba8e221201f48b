//! What waits, for those who look: the API's list of lanes, and metrics. Nothing here decides anything.

use super::{HoldReason, PartitionLanes, WaitingLane, front::Stage, ordered::Lane};
use crate::{ids::DestinationId, retry::Progress};

impl PartitionLanes {
    /// The destination's parked lanes, the lowest first, at most `most` after `after`. Looks at
    /// every lane of the partition: for people who ask, not for the flow.
    pub fn waiting_lanes(
        &self,
        destination: DestinationId,
        after: Option<super::LaneId>,
        most: usize,
    ) -> Vec<WaitingLane> {
        let of_destination = self
            .lanes
            .iter()
            .filter(|(id, _)| id.destination == destination && Some(**id) > after);
        let mut waiting: Vec<WaitingLane> = of_destination
            .filter_map(|(id, lane)| {
                lane.parked.as_ref()?;
                let reason = self.reason(destination, lane)?;
                Some(describe(*id, lane, reason))
            })
            .collect();
        waiting.sort_unstable_by_key(|waiting| waiting.lane);
        waiting.truncate(most);
        waiting
    }

    /// Lanes that are parked now. Looks at every lane.
    pub fn parked_lanes(&self) -> usize {
        self.lanes.values().filter(|lane| lane.parked.is_some()).count()
    }

    /// Why a lane waits; `None` where it doesn't.
    fn reason(&self, destination: DestinationId, lane: &Lane) -> Option<HoldReason> {
        let parked = lane.parked.as_ref().map(|parked| parked.reason());
        let gate = self.gates.get(&destination)?;
        match lane.head.as_ref() {
            None => parked,
            Some(head) => match head.stage {
                Stage::Held => Some(HoldReason::Held),
                Stage::Paused => Some(HoldReason::Paused),
                Stage::Until(_) => Some(HoldReason::Retry),
                Stage::Ready if !gate.rules.enabled => Some(HoldReason::Disabled),
                Stage::Ready => Some(HoldReason::Limit),
                Stage::InFlight(_) | Stage::Moving | Stage::Ended(_) | Stage::Settling => parked,
            },
        }
    }
}

fn describe(id: super::LaneId, lane: &Lane, reason: HoldReason) -> WaitingLane {
    let head = lane.head.as_ref();
    let next_at = head.and_then(|head| match head.stage {
        Stage::Until(at) => Some(at),
        _ => None,
    });
    let found = lane.parked.as_ref().and_then(|parked| parked.found_state());
    let found = found.filter(|_| head.is_none());
    let next_at = next_at.or(found.map(|state| state.progress.next_at).filter(|at| *at > 0));
    let progress = found.map_or_else(Progress::default, |state| state.progress);
    let parked = lane.parked.as_ref().map_or(0, |parked| parked.waiting());
    // A head that lies in the parked stream is counted there.
    let in_queue = head
        .filter(|head| matches!(head.item.place, super::Place::Queue(_)))
        .map_or(0, |_| 1);
    WaitingLane {
        lane: id,
        reason,
        head: head
            .map(|head| head.item.delivery)
            .or(found.map(|state| state.delivery)),
        progress: head.map_or(progress, |head| head.progress),
        waiting: parked + in_queue + lane.queue.len() as u64,
        next_at,
    }
}
