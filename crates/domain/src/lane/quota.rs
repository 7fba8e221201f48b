//! A destination's share of the parked stream. What would be parked beyond it is dead, `over_quota`:
//! one receiver that is down for weeks must not take the room that all others park in.

use super::{
    Action, End, LaneId, PartitionLanes, Place,
    front::{Item, Unit},
    partition_lanes::Turn,
};
use crate::{delivery::ErrorCode, ids::DestinationId, retry::Progress};

/// Share of its quota, in percent, to which a destination that was over it has to come down before it is
/// given room again: so that it is told once, and not at every message that comes and goes.
const AGAIN_BELOW_PERCENT: u64 = 90;

/// What a destination has in the parked stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Quota {
    messages: u64,
    bytes: u64,
    over: bool,
}

/// Whether there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Yes,
    /// There is none, since this message.
    NoMore,
    /// There was none before.
    None,
}

impl Quota {
    /// Whether a message of `bytes` may be parked within `most`.
    pub(super) fn room(&mut self, bytes: u32, most: u64) -> Room {
        let again_below = most / 100 * AGAIN_BELOW_PERCENT;
        if self.over && self.bytes >= again_below && self.bytes > 0 {
            return Room::None;
        }
        let before = std::mem::replace(&mut self.over, self.bytes.saturating_add(u64::from(bytes)) > most);
        match (self.over, before) {
            (false, _) => Room::Yes,
            (true, false) => Room::NoMore,
            (true, true) => Room::None,
        }
    }

    /// A message is being appended.
    pub(super) fn add(&mut self, bytes: u32) {
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(u64::from(bytes));
    }

    /// A message is gone, or its append was refused. What a takeover found is known by its mean size
    /// only, so the sum is put right where nothing is left.
    pub(super) fn remove(&mut self, bytes: u32) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = match self.messages {
            0 => 0,
            _ => self.bytes.saturating_sub(u64::from(bytes)),
        };
    }

    /// A takeover found messages. A destination that is over its quota then was told so before.
    pub(super) fn found(&mut self, messages: u64, mean_bytes: u64, most: u64) {
        self.messages += messages;
        self.bytes = self.bytes.saturating_add(messages.saturating_mul(mean_bytes));
        self.over = self.bytes > most;
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl PartitionLanes {
    /// Whether a message that lies in the queue only may be parked; tells where the last room is gone.
    pub(super) fn has_room(&mut self, item: &Item, turn: &mut Turn<'_>) -> bool {
        let Some(gate) = self.gates.get_mut(&item.destination).filter(|gate| !gate.deleted) else {
            return true;
        };
        let room = gate.parked.room(item.bytes, gate.rules.parked_bytes);
        if room == Room::NoMore {
            turn.actions.push(Action::OverQuota {
                destination: item.destination,
                delivery: item.delivery,
                parked_bytes: gate.parked.bytes(),
            });
        }
        room == Room::Yes
    }

    /// The message goes into the parked stream.
    pub(super) fn count_parked(&mut self, item: &Item) {
        if let Some(gate) = self.gates.get_mut(&item.destination) {
            gate.parked.add(item.bytes);
        }
    }

    /// The message is not in the parked stream, or no longer.
    pub(super) fn count_unparked(&mut self, item: &Item) {
        if let Some(gate) = self.gates.get_mut(&item.destination) {
            gate.parked.remove(item.bytes);
        }
    }

    /// A takeover found messages of a destination.
    pub(super) fn count_found(&mut self, destination: DestinationId, count: u64, mean_bytes: u64) {
        if let Some(gate) = self.gates.get_mut(&destination) {
            gate.parked.found(count, mean_bytes, gate.rules.parked_bytes);
        }
    }

    /// An append was refused: what it counted does not count.
    pub(super) fn uncount_refused(&mut self, unit: Unit, place: Place) {
        let head = self.head_mut(unit).map(|head| head.item);
        let item = head.filter(|item| item.place == place).or_else(|| match unit {
            Unit::Lane(id) => self.lanes.get(&id)?.queue.front().copied(),
            _ => None,
        });
        if let Some(item) = item {
            self.count_unparked(&item);
        }
    }

    /// A waiting head, or the first behind it, is dead for want of room.
    pub(super) fn refuse_room(&mut self, id: LaneId, item: Item, is_head: bool, turn: &mut Turn<'_>) {
        if is_head {
            self.stop_waiting(Unit::Lane(id));
            return self.settle(Unit::Lane(id), End::Dead(ErrorCode::OverQuota), turn);
        }
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        lane.queue.pop_front();
        if let Some(parked) = &mut lane.parked {
            parked.begin_append();
        }
        self.turn_away(id, &item, turn);
    }

    /// Has a message behind its lane's head settled as dead, for want of room. Nothing of the lane is
    /// appended before that is confirmed: below a parked message nothing may be un-acked and not parked.
    fn turn_away(&mut self, id: LaneId, item: &Item, turn: &mut Turn<'_>) {
        self.turned_away.insert(item.place, id);
        turn.actions.push(Action::Settle(super::Settle {
            place: item.place,
            delivery: item.delivery,
            destination: item.destination,
            end: End::Dead(ErrorCode::OverQuota),
            progress: Progress::default(),
        }));
    }

    /// A message that was turned away is settled: its lane goes on.
    pub(super) fn turned_away(&mut self, id: LaneId, place: Place, turn: &mut Turn<'_>) {
        self.let_go(Unit::Lane(id), place);
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        if let Some(parked) = &mut lane.parked {
            parked.end_append();
        }
        let waits = lane.head.is_none();
        self.append_next(id, turn);
        if waits {
            self.next_parked(id, turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_room_is_told_once_and_again_only_after_it_came_back() {
        let (mut quota, most) = (Quota::default(), 1_000);
        for _ in 0..10 {
            assert_eq!(quota.room(100, most), Room::Yes);
            quota.add(100);
        }
        assert_eq!(quota.room(100, most), Room::NoMore);
        assert_eq!(quota.room(100, most), Room::None);
        quota.remove(100);
        assert_eq!(quota.room(100, most), Room::None, "900 bytes are not below 90 %");
        quota.remove(100);
        assert_eq!(quota.room(100, most), Room::Yes);
        quota.add(100);
        quota.add(100);
        assert_eq!(quota.room(100, most), Room::NoMore);
    }

    #[test]
    fn a_message_larger_than_the_quota_is_refused_but_does_not_lock_it() {
        let mut quota = Quota::default();
        assert_eq!(quota.room(2_000, 1_000), Room::NoMore);
        assert_eq!(quota.room(10, 1_000), Room::Yes);
    }

    #[test]
    fn what_a_takeover_found_counts_by_its_mean_and_is_put_right_at_the_end() {
        let mut quota = Quota::default();
        quota.found(3, 400, 1_000);
        assert_eq!((quota.bytes(), quota.room(1, 1_000)), (1_200, Room::None));
        for _ in 0..3 {
            quota.remove(10);
        }
        assert_eq!((quota.bytes(), quota.room(1, 1_000)), (0, Room::Yes));
    }
}
