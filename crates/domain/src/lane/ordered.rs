//! Ordered lanes: one head at a time, the rest behind it in the order of arrival.

use std::collections::VecDeque;

use super::{
    Action, Arrival, LaneId, LanePlace, PartitionLanes, Place,
    front::{Head, Item, Unit},
    parked::ParkedLane,
    partition_lanes::Turn,
};
use crate::retry::Progress;

/// Orders whose last settled place a lane remembers: one for each raw partition, and one for each source that
/// held events of it. A lane commonly has one.
const REMEMBERED_ORIGINS: usize = 8;
/// Origins settled out of turn that a lane remembers; of more, the oldest are forgotten.
const REMEMBERED_LEFT: usize = 64;

/// An ordered lane.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) head: Option<Head>,
    /// Un-acked messages behind the head.
    pub(super) queue: VecDeque<Item>,
    /// The last settled place of each order.
    settled: Vec<LanePlace>,
    /// Origins that were settled out of turn and that the lane has not passed yet.
    left: Vec<LanePlace>,
    /// Messages of the queue that are being settled out of turn: nothing behind them is parked or sent
    /// meanwhile.
    pub(super) leaving: u32,
    /// Its place among the idle lanes, while it is one.
    idle: Option<u64>,
    /// There while the lane is parked.
    pub(super) parked: Option<Box<ParkedLane>>,
}

impl Lane {
    /// True for a late copy of what was settled before: at or below the last settled place of the same
    /// order.
    pub(super) fn is_stale(&self, origin: Option<LanePlace>) -> bool {
        let Some(origin) = origin else { return false };
        let passed = |last: &LanePlace| last.is_comparable(&origin) && origin.origin <= last.origin;
        self.settled.iter().any(passed) || self.left.contains(&origin)
    }

    /// A message left the lane out of turn.
    pub(super) fn remember_left(&mut self, origin: LanePlace) {
        if self.left.len() >= REMEMBERED_LEFT {
            self.left.remove(0);
        }
        self.left.push(origin);
    }

    fn remember(&mut self, origin: Option<LanePlace>) {
        let Some(origin) = origin else { return };
        self.left
            .retain(|left| !left.is_comparable(&origin) || left.origin > origin.origin);
        match self.settled.iter_mut().find(|last| last.is_comparable(&origin)) {
            Some(last) => last.origin = last.origin.max(origin.origin),
            None => {
                if self.settled.len() >= REMEMBERED_ORIGINS {
                    self.settled.remove(0);
                }
                self.settled.push(origin);
            }
        }
    }
}

impl PartitionLanes {
    pub(super) fn arrive_in_lane(&mut self, id: LaneId, arrival: &Arrival, turn: &mut Turn<'_>) {
        let item = Item::new(arrival);
        let lane = self.lanes.entry(id).or_default();
        if let Some(place) = lane.idle.take() {
            self.idle.remove(&place);
        }
        if lane.head.is_some() || lane.parked.is_some() || lane.leaving > 0 {
            lane.queue.push_back(item);
            self.tell_caller_behind(id, &item, turn);
        } else {
            lane.head = Some(Head::new(item, Progress::default()));
            self.begin_head(Unit::Lane(id), turn);
        }
        self.park_what_is_too_much(id, turn);
    }

    /// The lane's head is settled: the next one is its head.
    pub(super) fn advance(&mut self, id: LaneId, place: Place, turn: &mut Turn<'_>) {
        self.answer_passed(id, turn);
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        if let Some(head) = lane.head.take() {
            lane.remember(head.item.origin);
        }
        if let Some(parked) = &mut lane.parked {
            if let Place::Parked(sequence) = place {
                parked.drained += 1;
                parked.drained_to = sequence;
            }
            // It speaks of a head that is gone, and might be taken for a later one with the same id.
            let outdated = parked.state_at.take();
            turn.actions
                .extend(outdated.map(|at| Action::DeleteLaneState(id, at)));
            self.append_next(id, turn);
            return self.next_parked(id, turn);
        }
        self.next_queued(id, turn);
    }

    /// The first of those in memory is the head, or the lane is idle.
    pub(super) fn next_queued(&mut self, id: LaneId, turn: &mut Turn<'_>) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        // What leaves out of turn has to be gone before what is behind it is sent: a takeover would send
        // it after that.
        if lane.leaving > 0 {
            return;
        }
        match lane.queue.pop_front() {
            Some(item) => {
                lane.head = Some(Head::new(item, Progress::default()));
                self.begin_head(Unit::Lane(id), turn);
            }
            None => self.rest(id),
        }
    }

    /// The lane is idle. It is remembered for its settled origins, up to the limit of such lanes.
    fn rest(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        self.idle_counter += 1;
        lane.idle = Some(self.idle_counter);
        self.idle.insert(self.idle_counter, id);
        if self.idle.len() > self.limits.remembered_lanes
            && let Some((_, oldest)) = self.idle.pop_first()
        {
            self.lanes.remove(&oldest);
        }
    }
}
