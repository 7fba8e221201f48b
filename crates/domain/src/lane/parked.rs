//! Parked lanes: their messages lie in the parked stream, and nothing of them stays un-acked.
//!
//! A lane's messages are appended one at a time and in order, the head first, so that below a parked
//! message nothing is un-acked in the queue that is not parked itself. A parked lane is idle again when
//! it has drained as many as it appended: counted, never seen from a subject that looks empty.

use std::collections::{BTreeSet, HashMap};

use super::{
    Action, CommandAnswer, End, HoldReason, LaneId, LaneState, ParkedMessage, ParkedSubject, Parking,
    PartitionLanes, Place, Settle,
    commands::TAKEN_MAX,
    front::{Head, Item, Stage, Unit},
    input::ParkedSet,
    partition_lanes::Turn,
    timers::Alarm,
};
use crate::retry::Progress;

/// What a parked lane's head, not in memory, is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Reading {
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
enum Writing {
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
    appended: u64,
    /// Messages whose delete is confirmed.
    pub(super) drained: u64,
    appending: bool,
    /// An append was refused; a timer says when it is tried again.
    refused: bool,
    reading: Reading,
    writing: Writing,
    /// The last sequence of the parked stream that was drained in turn.
    pub(super) drained_to: u64,
    /// Sequences that were taken out of turn, and that the heads have not passed.
    taken: Option<Box<BTreeSet<u64>>>,
    /// A state that was found at takeover.
    state: Option<LaneState>,
    /// The newest lane state's sequence in the parked stream.
    pub(super) state_at: Option<u64>,
}

impl ParkedLane {
    fn new(reason: HoldReason, appended: u64) -> Self {
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

    fn is_taken(&self, sequence: u64) -> bool {
        self.taken.as_ref().is_some_and(|taken| taken.contains(&sequence))
    }

    /// The heads have passed what lies below `sequence`.
    fn forget_taken(&mut self, sequence: u64) {
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

    fn park(&mut self, id: LaneId, reason: HoldReason, turn: &mut Turn<'_>) {
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
        let Some(Appending { unit, .. }) = self.appends.remove(&place) else {
            return;
        };
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

    /// A parked lane without a head in memory: it waits for its turn to be read, or is idle again.
    pub(super) fn next_parked(&mut self, id: LaneId, turn: &mut Turn<'_>) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let Some(parked) = lane.parked.as_mut().filter(|_| lane.head.is_none()) else {
            return;
        };
        if parked.drained < parked.appended {
            if parked.reading == Reading::No {
                parked.reading = Reading::Ready;
                self.push_unread(Unit::Lane(id), false);
            }
        } else if !parked.appending
            && parked.reading != Reading::Begun
            && (lane.queue.is_empty() || parked.refused)
        {
            let state_at = parked.state_at;
            lane.parked = None;
            turn.actions
                .extend(state_at.map(|at| Action::DeleteLaneState(id, at)));
            self.next_queued(id, turn);
        }
    }

    pub(super) fn push_unread(&mut self, unit: Unit, fresh: bool) {
        if let Some(gate) = self.gates.get_mut(&unit.destination()) {
            gate.push(unit, fresh);
        }
        self.list(unit.destination());
    }

    /// A timer says that the unit's time has come.
    pub(super) fn wake(&mut self, unit: Unit, turn: &mut Turn<'_>) {
        match unit {
            Unit::Tier(destination, tier) => self.wake_tier(destination, tier),
            Unit::Lane(id) if self.head_mut(unit).is_none() => self.next_parked(id, turn),
            _ => self.wait_for_turn(unit, turn.now),
        }
    }

    /// Reads what the unit has in the parked stream, where that is what it waits for.
    pub(super) fn begin_read(&mut self, unit: Unit, turn: &mut Turn<'_>) -> bool {
        let begun = match unit {
            Unit::Lane(id) => self.read_head(id, turn),
            Unit::Tier(destination, tier) => self.read_tier(destination, tier, turn),
            Unit::Single(..) => false,
        };
        if begun {
            self.count_read(unit);
        }
        begun
    }

    fn count_read(&mut self, unit: Unit) {
        self.reading += 1;
        if let Some(gate) = self.gates.get_mut(&unit.destination()) {
            gate.reading += 1;
        }
    }

    /// Reads the lane's head although it is not its turn: a person asks.
    pub(super) fn read_head_now(&mut self, id: LaneId, turn: &mut Turn<'_>) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let Some(parked) = &mut lane.parked else { return };
        if parked.reading == Reading::Begun {
            return;
        }
        parked.reading = Reading::Begun;
        turn.actions.push(Action::ReadHead(id));
        self.count_read(Unit::Lane(id));
    }

    pub(super) fn end_read(&mut self, unit: Unit) {
        self.reading = self.reading.saturating_sub(1);
        if let Some(gate) = self.gates.get_mut(&unit.destination()) {
            gate.reading = gate.reading.saturating_sub(1);
        }
        self.list(unit.destination());
    }

    fn read_head(&mut self, id: LaneId, turn: &mut Turn<'_>) -> bool {
        let parked = self.lanes.get_mut(&id).and_then(|lane| lane.parked.as_mut());
        let Some(parked) = parked.filter(|parked| parked.reading == Reading::Ready) else {
            return false;
        };
        parked.reading = Reading::Begun;
        turn.actions.push(Action::ReadHead(id));
        true
    }

    pub(super) fn head_read(&mut self, id: LaneId, message: Option<&ParkedMessage>, turn: &mut Turn<'_>) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let Some(parked) = lane
            .parked
            .as_mut()
            .filter(|parked| parked.reading == Reading::Begun)
        else {
            return;
        };
        parked.reading = Reading::No;
        let unit = Unit::Lane(id);
        let drained = parked.drained >= parked.appended;
        let taken = message.is_some_and(|message| parked.is_taken(message.parked));
        let leaving =
            message.is_some_and(|message| self.leaving.contains_key(&Place::Parked(message.parked)));
        let Some(message) = message.filter(|_| !taken) else {
            self.end_read(unit);
            if drained || taken && !leaving {
                self.next_parked(id, turn);
            } else if !taken {
                // Counted but not seen: it is looked for again, never taken for the end.
                let again_at = turn.now.saturating_add(self.limits.parked_retry_ms);
                self.timers.set(again_at, Alarm::Head(unit));
            }
            return self.answer_read(id, turn);
        };
        parked.forget_taken(message.parked);
        let state = parked
            .state
            .take()
            .filter(|state| state.delivery == message.arrival.delivery);
        let progress = state.map_or(message.progress, |state| state.progress);
        let held = state.map_or(message.held, |state| state.reason == HoldReason::Held);
        let mut item = Item::new(&message.arrival);
        item.place = Place::Parked(message.parked);
        lane.head = Some(Head {
            just_read: true,
            ..Head::new(item, progress)
        });
        self.end_read(unit);
        if !held || !self.is_wanted(id.destination) {
            self.begin_head(unit, turn);
        } else if let Some(parked) = self.lanes.get_mut(&id).and_then(|lane| lane.parked.as_mut()) {
            parked.reason = HoldReason::Held;
        }
        self.answer_read(id, turn);
    }

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

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::lane::{Origin, ordered::Lane};

    #[test]
    fn a_parked_lane_takes_well_under_a_kilobyte() {
        let lane = size_of::<(LaneId, Lane)>() + size_of::<ParkedLane>() + size_of::<Origin>();
        let timer = size_of::<(crate::Millis, Alarm)>();
        // Maps and trees hold up to twice what is in them.
        let most = 2 * (lane + timer);
        assert!(most < 1_000, "{most} bytes");
    }
}
