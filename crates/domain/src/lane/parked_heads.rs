//! Heads of parked lanes: each is read from the parked stream when it is its lane's turn, and a lane that
//! has none left is idle again.

use super::{
    Action, HoldReason, LaneId, ParkedMessage, PartitionLanes, Place,
    front::{Head, Item, Unit},
    parked::Reading,
    partition_lanes::Turn,
    timers::Alarm,
};

impl PartitionLanes {
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
            gate.turns.push(unit, fresh);
        }
        self.forget_passed_turns(unit.destination());
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
        // A failed attempt is never tried again at once: this is what a person asked for.
        let is_urged =
            state.is_some_and(|state| state.reason == HoldReason::Retry && state.progress.next_at == 0);
        let mut item = Item::new(&message.arrival);
        item.place = Place::Parked(message.parked);
        lane.head = Some(Head {
            just_read: true,
            is_urged,
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
}
