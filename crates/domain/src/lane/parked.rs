//! Parked lanes: their messages lie in the parked stream, and nothing of them stays un-acked.
//!
//! A lane's messages are appended one at a time and in order, the head first, so that below a parked
//! message nothing is un-acked in the queue that is not parked itself. A parked lane is idle again when
//! it has drained as many as it appended: counted, never seen from a subject that looks empty.

use std::collections::BTreeSet;

use super::{
    Action, CommandAnswer, End, HoldReason, LaneId, LaneState, ParkedSubject, Parking, PartitionLanes, Place,
    Settle,
    commands::TAKEN_MAX,
    front::{Head, Item, Stage, Unit},
    partition_lanes::Turn,
    timers::Alarm,
};
use crate::retry::Progress;

/// What a parked lane's head, not in memory, is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reading {
    #[default]
    No,
    Ready,
    Begun,
}

/// An append under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Appending {
    pub(super) unit: Unit,
    to: ParkedSubject,
    progress: Progress,
    held: bool,
}

/// The writes of a lane's state: one at a time, so that none overtakes a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Writing {
    #[default]
    No,
    Begun,
    /// It changed again meanwhile.
    Outdated,
}

/// What is kept of a parked lane besides its head.
#[derive(Debug)]
pub(super) struct ParkedLane {
    pub(super) reason: HoldReason,
    /// Messages appended, those found at takeover included.
    pub(super) appended: u64,
    /// Messages whose delete is confirmed.
    pub(super) drained: u64,
    pub(super) appending: bool,
    /// An append was refused; a timer says when it is tried again.
    pub(super) refused: bool,
    pub(super) reading: Reading,
    pub(super) writing: Writing,
    /// The last sequence of the parked stream that was drained in turn.
    pub(super) drained_to: u64,
    /// Sequences that were taken out of turn, and that the heads have not passed.
    #[expect(
        clippy::box_collection,
        reason = "nearly always there are none, and there may be very many lanes"
    )]
    taken: Option<Box<BTreeSet<u64>>>,
    /// A state that was found at takeover.
    pub(super) state: Option<LaneState>,
    /// The newest lane state's sequence in the parked stream.
    pub(super) state_at: Option<u64>,
}

impl ParkedLane {
    pub(super) fn new(reason: HoldReason, appended: u64) -> Self {
        let reading = Reading::No;
        let (drained, appending, refused) = (0, false, false);
        Self {
            reason,
            appended,
            drained,
            appending,
            refused,
            reading,
            writing: Writing::No,
            drained_to: 0,
            taken: None,
            state: None,
            state_at: None,
        }
    }

    /// Nothing of the lane is appended before [`ParkedLane::end_append`].
    pub(super) fn begin_append(&mut self) {
        self.appending = true;
    }

    /// The message that should have been appended is settled instead.
    pub(super) fn end_append(&mut self) {
        self.appending = false;
    }

    pub(super) fn reason(&self) -> HoldReason {
        self.reason
    }

    /// What a takeover knows of the head before it is read.
    pub(super) fn found_state(&self) -> Option<&LaneState> {
        self.state.as_ref()
    }

    /// Notes a message behind the head that is taken out of turn; false where it is not there any more,
    /// or where too many are.
    pub(super) fn take(&mut self, sequence: u64) -> bool {
        let taken = self.taken.get_or_insert_default();
        sequence > self.drained_to && taken.len() < TAKEN_MAX && taken.insert(sequence)
    }

    pub(super) fn is_taken(&self, sequence: u64) -> bool {
        self.taken.as_ref().is_some_and(|taken| taken.contains(&sequence))
    }

    /// A message that was taken out of turn is deleted. What is being read now may show it once more.
    pub(super) fn taken_is_gone(&mut self, sequence: u64) {
        if self.reading == Reading::Begun {
            return;
        }
        if let Some(taken) = &mut self.taken {
            taken.remove(&sequence);
        }
        self.taken = self.taken.take().filter(|taken| !taken.is_empty());
    }

    /// The heads have passed what lies below `sequence`.
    pub(super) fn forget_taken(&mut self, sequence: u64) {
        let taken = self.taken.take().map(|mut taken| taken.split_off(&sequence));
        self.taken = taken.filter(|taken| !taken.is_empty()).map(Box::new);
    }

    /// Messages in the parked stream.
    pub(super) fn waiting(&self) -> u64 {
        self.appended.saturating_sub(self.drained)
    }
}

impl PartitionLanes {
    /// Parks the lane where it, or its destination, has more in memory than it should.
    pub(super) fn park_what_is_too_much(&mut self, id: LaneId, turn: &mut Turn<'_>) {
        if self.parking == Parking::Off {
            return;
        }
        let Some(lane) = self.lanes.get(&id) else { return };
        let gate = self.gates.get(&id.destination);
        let keeps_up = gate.is_some_and(|gate| gate.keeps_up(&self.limits, turn.now));
        let overflow = lane.queue.len() > self.limits.lane_waiting && !keeps_up;
        let overflow = overflow.then_some(HoldReason::Overflow);
        let reason = overflow.or_else(|| gate.and_then(|gate| gate.parks(&self.limits, turn.now)));
        match (&lane.parked, reason) {
            (Some(_), _) => self.append_next(id, turn),
            (None, Some(reason)) => self.park(id, reason, turn),
            (None, None) => {}
        }
    }

    /// The head waits, and its lane (or the unordered delivery itself) is parked.
    pub(super) fn wait_parked(&mut self, unit: Unit, reason: HoldReason, turn: &mut Turn<'_>) {
        match unit {
            Unit::Single(_, place) if self.parking == Parking::On => self.move_to_tier(place, reason, turn),
            _ => {
                self.begin_head(unit, turn);
                self.park_head(unit, reason, turn);
            }
        }
    }

    /// Parks the lane with its head as it is, and keeps the head's counts where it is parked already.
    pub(super) fn park_head(&mut self, unit: Unit, reason: HoldReason, turn: &mut Turn<'_>) {
        let Unit::Lane(id) = unit else { return };
        let on = self.parking == Parking::On;
        let Some(head) = self.head_mut(unit).filter(|_| on) else {
            return;
        };
        match head.item.place {
            Place::Queue(_) => self.park(id, reason, turn),
            Place::Parked(_) => self.write_state(id, reason, turn),
        }
    }

    pub(super) fn park(&mut self, id: LaneId, reason: HoldReason, turn: &mut Turn<'_>) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        lane.parked
            .get_or_insert_with(|| Box::new(ParkedLane::new(reason, 0)))
            .reason = reason;
        self.append_next(id, turn);
    }

    /// Appends the lane's first message that lies in the queue only; one append of a lane at a time.
    pub(super) fn append_next(&mut self, id: LaneId, turn: &mut Turn<'_>) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let Some(parked) = &mut lane.parked else { return };
        if parked.appending || parked.refused || lane.leaving > 0 || self.draining {
            return;
        }
        let queued = lane
            .head
            .as_ref()
            .filter(|head| matches!(head.item.place, Place::Queue(_)));
        let (is_head, waits) = (queued.is_some(), queued.is_some_and(Head::is_waiting));
        let next = match queued {
            // It is being acked: what is behind it may only be parked after that.
            Some(head) if head.stage == Stage::Settling => None,
            Some(head) => Some((head.item, head.progress)),
            None => lane.queue.front().map(|item| (*item, Progress::default())),
        };
        let Some((item, progress)) = next else { return };
        // Only the head is held.
        let reason = if is_head {
            parked.reason
        } else {
            HoldReason::Overflow
        };
        // What is being sent may be parked whatever the quota: it is bounded by what is in flight. And what
        // a person is to decide on is not decided here.
        let bound = !is_head || waits && reason != HoldReason::Held;
        if bound && !self.has_room(&item, turn) {
            return self.refuse_room(id, item, is_head, turn);
        }
        self.count_parked(&item);
        if let Some(parked) = self.lanes.get_mut(&id).and_then(|lane| lane.parked.as_mut()) {
            parked.appending = true;
        }
        let to = ParkedSubject::Lane(id);
        self.begin_append(item.place, Unit::Lane(id), to, progress, reason, turn);
    }

    /// Has a message appended; what it carries is remembered until that is certain.
    pub(super) fn begin_append(
        &mut self,
        place: Place,
        unit: Unit,
        to: ParkedSubject,
        progress: Progress,
        reason: HoldReason,
        turn: &mut Turn<'_>,
    ) {
        let held = reason == HoldReason::Held;
        let appending = Appending {
            unit,
            to,
            progress,
            held,
        };
        self.appends.insert(place, appending);
        if let ParkedSubject::Tier(destination, tier) = to {
            self.begin_append_to_tier(destination, tier);
        }
        turn.actions.push(Action::Append {
            place,
            to,
            progress,
            reason,
        });
    }

    pub(super) fn appended(&mut self, place: Place, at: u64, turn: &mut Turn<'_>) {
        let Some(appending) = self.appends.remove(&place) else {
            return;
        };
        match (appending.unit, appending.to) {
            (Unit::Lane(id), _) => self.appended_in_lane(id, place, at, appending, turn),
            (unit, ParkedSubject::Tier(destination, tier)) => {
                if !self.moved_to_the_front(unit, place, at, turn) {
                    self.appended_to_tier(destination, tier, appending.progress, turn);
                }
                self.end_append_to_tier(destination, tier);
                if let Some(item) = self.singles.get(&place).map(|head| head.item) {
                    self.let_move(unit, item, appending.progress, turn);
                }
            }
            (_, ParkedSubject::Lane(_)) => {}
        }
    }

    fn appended_in_lane(
        &mut self,
        id: LaneId,
        place: Place,
        at: u64,
        Appending { progress, held, .. }: Appending,
        turn: &mut Turn<'_>,
    ) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let Some(parked) = &mut lane.parked else { return };
        parked.appending = false;
        parked.appended += 1;
        let reason = parked.reason;
        let head = lane.head.as_mut().filter(|head| head.item.place == place);
        let is_head = head.is_some();
        let (item, outdated) = match head {
            Some(head) => {
                let item = head.item;
                head.item.place = Place::Parked(at);
                let changed = head.progress != progress || held != (reason == HoldReason::Held);
                (Some(item), head.is_waiting() && changed)
            }
            None => (lane.queue.pop_front(), false),
        };
        if outdated {
            self.write_state(id, reason, turn);
        } else if is_head {
            self.answer_written(id, CommandAnswer::Done, turn);
        }
        if let Some(item) = item {
            self.let_move(Unit::Lane(id), item, progress, turn);
        }
        self.append_next(id, turn);
    }

    /// The message has a new place: the old one is acked or deleted.
    pub(super) fn let_move(&mut self, unit: Unit, item: Item, progress: Progress, turn: &mut Turn<'_>) {
        self.moved.insert(item.place, unit);
        let (place, delivery, destination) = (item.place, item.delivery, item.destination);
        turn.actions.push(Action::Settle(Settle {
            place,
            delivery,
            destination,
            end: End::Moved,
            progress,
        }));
    }

    /// The old place is acked or deleted.
    pub(super) fn moved_away(&mut self, unit: Unit, place: Place, turn: &mut Turn<'_>) {
        self.let_go(unit, place);
        let Unit::Lane(id) = unit else {
            return self.single_gone(place, turn);
        };
        let Some(lane) = self.lanes.get(&id) else { return };
        match lane.head.as_ref().map(|head| head.stage) {
            Some(Stage::Ended(end)) => self.settle(unit, end, turn),
            Some(_) => {}
            None => self.next_parked(id, turn),
        }
    }

    pub(super) fn append_refused(&mut self, place: Place, turn: &mut Turn<'_>) {
        let Some(Appending { unit, to, .. }) = self.appends.remove(&place) else {
            return;
        };
        if let ParkedSubject::Tier(destination, tier) = to {
            self.end_append_to_tier(destination, tier);
        }
        self.uncount_refused(unit, place);
        let Unit::Lane(id) = unit else {
            self.front_refused(place, turn);
            return self.begin_head(unit, turn);
        };
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let Some(parked) = &mut lane.parked else { return };
        (parked.appending, parked.refused) = (false, true);
        self.timers.set(
            turn.now.saturating_add(self.limits.parked_retry_ms),
            Alarm::Append(id),
        );
        let stage = lane.head.as_ref().map(|head| head.stage);
        self.answer_written(id, CommandAnswer::Busy, turn);
        match stage {
            Some(Stage::Ended(end)) => self.settle(unit, end, turn),
            Some(_) => {}
            None => self.next_parked(id, turn),
        }
    }

    pub(super) fn append_again(&mut self, id: LaneId, turn: &mut Turn<'_>) {
        if let Some(parked) = self.lanes.get_mut(&id).and_then(|lane| lane.parked.as_mut()) {
            parked.refused = false;
            self.append_next(id, turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::lane::{LanePlace, ordered::Lane};

    #[test]
    fn a_parked_lane_takes_about_a_kilobyte() {
        let lane = size_of::<(LaneId, Lane)>() + size_of::<ParkedLane>() + size_of::<LanePlace>();
        let timer = size_of::<(crate::Millis, Alarm)>();
        // Maps and trees hold up to twice what is in them.
        let most = 2 * (lane + timer);
        assert!(most < 1_100, "{most} bytes");
    }
}
