//! What people ask: retry now, skip, cancel, hold.
//!
//! A command is answered when its effect is durable: the settlement confirmed, the lane's new state or
//! the message's new place on disk. What waits in the parked stream only is looked for there first. A
//! command that arrives twice does its effect once: it names the delivery, not a place in a lane.

use std::collections::HashMap;

use super::{
    Action, Command, CommandAnswer, CommandId, End, HoldReason, LaneId, ParkedMessage, ParkedSubject,
    Parking, PartitionLanes, Place, TierKey,
    front::{Head, Item, Stage, Unit},
    input::{Search, Target, Verb},
    partition_lanes::Turn,
};
use crate::{delivery::ErrorCode, ids::DeliveryId, retry::Progress};

/// Commands that wait for their effect. Further ones are told to come again.
const WAITING_MAX: usize = 1_000;
/// Messages of one lane or tier that were taken out of turn and that its reading has not passed yet.
pub(super) const TAKEN_MAX: usize = 1_000;

/// Commands that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Answered once the delivery is settled.
    settling: HashMap<DeliveryId, Vec<(CommandId, Verb)>>,
    /// Answered once the lane's head was read.
    reading: HashMap<LaneId, Vec<Command>>,
    /// Answered once the lane's state is on disk.
    writing: HashMap<LaneId, Vec<(CommandId, Verb)>>,
    /// Answered once the message lies where it is due at once.
    moving: HashMap<Place, CommandId>,
    /// What is being looked for in the parked stream.
    finding: HashMap<CommandId, Command>,
}

impl Asked {
    fn waiting(&self) -> usize {
        let lists = self.settling.values().map(Vec::len).sum::<usize>()
            + self.reading.values().map(Vec::len).sum::<usize>()
            + self.writing.values().map(Vec::len).sum::<usize>();
        lists + self.moving.len() + self.finding.len()
    }
}

impl PartitionLanes {
    pub(super) fn command(&mut self, command: &Command, turn: &mut Turn<'_>) {
        if self.draining || self.asked.waiting() >= WAITING_MAX {
            return turn.actions.push(Action::answer(command.id, CommandAnswer::Busy));
        }
        let answer = match (self.unit_of(command.target), command.target.lane_id()) {
            (Some(unit), _) => self.command_unit(unit, command, turn),
            (None, Some(lane)) => self.command_lane(lane, command, turn),
            (None, None) => self.look_for(command, turn),
        };
        turn.actions
            .extend(answer.map(|answer| Action::answer(command.id, answer)));
    }

    /// The unit in memory whose head is meant. Commands are seldom: single ones are looked for among all.
    fn unit_of(&self, target: Target) -> Option<Unit> {
        let meant = |head: &Head| head.item.delivery == target.delivery;
        if let Some(id) = target.lane_id()
            && self.lanes.get(&id)?.head.as_ref().is_some_and(meant)
        {
            return Some(Unit::Lane(id));
        }
        let singles = self.singles.values().filter(|head| meant(head));
        // One that was moved lies in two places for a moment; what counts is the new one.
        let single = singles.min_by_key(|head| head.stage == Stage::Moving)?;
        Some(Unit::Single(single.item.destination, single.item.place))
    }

    /// `None`: it is answered later.
    fn command_unit(&mut self, unit: Unit, command: &Command, turn: &mut Turn<'_>) -> Option<CommandAnswer> {
        let stage = self.head_mut(unit)?.stage;
        match (command.verb, stage) {
            (_, Stage::Moving) => Some(CommandAnswer::Busy),
            (Verb::Retry, Stage::InFlight(_)) => Some(CommandAnswer::Done),
            (Verb::Skip | Verb::Hold, Stage::InFlight(_)) => Some(CommandAnswer::Busy),
            (Verb::Cancel, Stage::InFlight(_)) => {
                self.cancelled.insert(command.target.delivery);
                self.answer_when_settled(command)
            }
            (Verb::Cancel | Verb::Skip, Stage::Ended(_) | Stage::Settling) => {
                self.answer_when_settled(command)
            }
            (Verb::Retry | Verb::Hold, Stage::Ended(_) | Stage::Settling) => Some(CommandAnswer::Busy),
            (Verb::Cancel, _) => self.end_now(unit, command, End::Cancelled(ErrorCode::Cancelled), turn),
            (Verb::Skip, _) => self.end_now(unit, command, End::Dead(ErrorCode::Cancelled), turn),
            (Verb::Retry, _) => self.retry_now(unit, command, turn),
            (Verb::Hold, _) => self.hold(unit, command, turn),
        }
    }

    fn answer_when_settled(&mut self, command: &Command) -> Option<CommandAnswer> {
        let waiting = self.asked.settling.entry(command.target.delivery).or_default();
        waiting.push((command.id, command.verb));
        None
    }

    fn end_now(
        &mut self,
        unit: Unit,
        command: &Command,
        end: End,
        turn: &mut Turn<'_>,
    ) -> Option<CommandAnswer> {
        self.stop_waiting(unit);
        self.settle(unit, end, turn);
        self.answer_when_settled(command)
    }

    /// The delivery is settled: those who asked for it learn how.
    pub(super) fn answer_settled(&mut self, delivery: DeliveryId, end: End, turn: &mut Turn<'_>) {
        for (id, verb) in self.asked.settling.remove(&delivery).unwrap_or_default() {
            let answer = match (end, verb) {
                (End::Delivered, _) => CommandAnswer::Delivered,
                (End::Cancelled(_), Verb::Cancel) | (End::Dead(_), Verb::Skip) => CommandAnswer::Done,
                _ => CommandAnswer::NotFound,
            };
            turn.actions.push(Action::answer(id, answer));
        }
    }

    fn retry_now(&mut self, unit: Unit, command: &Command, turn: &mut Turn<'_>) -> Option<CommandAnswer> {
        if let Some(gate) = self.gates.get_mut(&unit.destination()) {
            gate.probe_now(turn.now);
        }
        self.list(unit.destination());
        let head = self.head_mut(unit)?;
        let (stage, place, next_at) = (head.stage, head.item.place, head.progress.next_at);
        // What is due already is due after a takeover too.
        if stage == Stage::Ready {
            head.is_urged = true;
            return Some(CommandAnswer::Done);
        }
        if self.appends.contains_key(&place) {
            return Some(CommandAnswer::Busy);
        }
        match (unit, place) {
            (Unit::Lane(lane), Place::Parked(_)) => {
                self.send_now(unit, turn);
                self.write_state(lane, HoldReason::Retry, turn);
                self.answer_when_written(lane, command);
                None
            }
            (Unit::Single(..), Place::Parked(_)) if next_at > turn.now => {
                self.move_to_the_front(unit, command.id, turn)
            }
            _ => {
                self.forget_hold(unit);
                self.send_now(unit, turn);
                Some(CommandAnswer::Done)
            }
        }
    }

    /// What is appended from now on does not say that it is held.
    fn forget_hold(&mut self, unit: Unit) {
        let Unit::Lane(id) = unit else { return };
        if let Some(parked) = self.lanes.get_mut(&id).and_then(|lane| lane.parked.as_mut()) {
            parked.reason = HoldReason::Retry;
        }
    }

    fn send_now(&mut self, unit: Unit, turn: &mut Turn<'_>) {
        self.stop_waiting(unit);
        if let Some(head) = self.head_mut(unit) {
            head.progress.next_at = 0;
            head.is_urged = true;
        }
        self.begin_head(unit, turn);
    }

    /// Appends an unordered delivery to where all is due at once, so that a takeover keeps its turn.
    fn move_to_the_front(
        &mut self,
        unit: Unit,
        command: CommandId,
        turn: &mut Turn<'_>,
    ) -> Option<CommandAnswer> {
        self.stop_waiting(unit);
        let head = self.head_mut(unit)?;
        head.stage = Stage::Moving;
        head.is_urged = true;
        let item = head.item;
        let progress = Progress {
            next_at: 0,
            ..head.progress
        };
        let place = item.place;
        self.count_parked(&item);
        self.asked.moving.insert(place, command);
        let to = ParkedSubject::Tier(unit.destination(), TierKey::FIRST);
        self.begin_append(place, unit, to, progress, HoldReason::Retry, turn);
        None
    }

    /// The copy in front is on disk: it is sent from there, before what else waits there. False where it
    /// counts as any other of its tier: it was read from there before this was known.
    pub(super) fn moved_to_the_front(
        &mut self,
        unit: Unit,
        place: Place,
        parked: u64,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(command) = self.asked.moving.remove(&place) else {
            return false;
        };
        turn.actions.push(Action::answer(command, CommandAnswer::Done));
        let read_already = self.singles.contains_key(&Place::Parked(parked))
            || self.was_read_from_tier(unit.destination(), TierKey::FIRST, parked);
        let Some(head) = self.singles.get(&place).filter(|_| !read_already) else {
            return false;
        };
        let mut front = Head {
            just_read: true,
            ..head.clone()
        };
        (front.item.place, front.item.tier) = (Place::Parked(parked), Some(TierKey::FIRST));
        front.progress.next_at = 0;
        self.take_from_tier(unit.destination(), TierKey::FIRST, parked, false);
        self.singles.insert(front.item.place, front.clone());
        self.begin_head(Unit::Single(unit.destination(), front.item.place), turn);
        true
    }

    /// The copy in front was refused: the delivery goes on waiting where it was.
    pub(super) fn front_refused(&mut self, place: Place, turn: &mut Turn<'_>) {
        if let Some(command) = self.asked.moving.remove(&place) {
            turn.actions.push(Action::answer(command, CommandAnswer::Busy));
        }
    }

    fn hold(&mut self, unit: Unit, command: &Command, turn: &mut Turn<'_>) -> Option<CommandAnswer> {
        let Unit::Lane(lane) = unit else {
            return Some(CommandAnswer::NotFound);
        };
        self.stop_waiting(unit);
        self.park_head(unit, HoldReason::Held, turn);
        if self.parking == Parking::Off {
            return Some(CommandAnswer::Done);
        }
        self.answer_when_written(lane, command);
        None
    }

    fn answer_when_written(&mut self, lane: LaneId, command: &Command) {
        let waiting = self.asked.writing.entry(lane).or_default();
        waiting.push((command.id, command.verb));
    }

    /// The head is gone before the lane's state was on disk.
    pub(super) fn answer_passed(&mut self, lane: LaneId, turn: &mut Turn<'_>) {
        for (id, verb) in self.asked.writing.remove(&lane).unwrap_or_default() {
            let answer = match verb {
                Verb::Retry => CommandAnswer::Done,
                _ => CommandAnswer::NotFound,
            };
            turn.actions.push(Action::answer(id, answer));
        }
    }

    /// The lane's state, or its head with what it says, is on disk, or certainly not.
    pub(super) fn answer_written(&mut self, lane: LaneId, answer: CommandAnswer, turn: &mut Turn<'_>) {
        for (id, _) in self.asked.writing.remove(&lane).unwrap_or_default() {
            turn.actions.push(Action::answer(id, answer));
        }
    }

    /// A delivery that is not the head of its lane, or whose lane's head is not in memory.
    fn command_lane(&mut self, id: LaneId, command: &Command, turn: &mut Turn<'_>) -> Option<CommandAnswer> {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return Some(CommandAnswer::NotFound);
        };
        // A late copy in memory must not be taken for the one that lies parked before it.
        match (&lane.head, &lane.parked) {
            (_, None) => self.command_queued(id, command, turn),
            (None, Some(_)) => {
                self.asked.reading.entry(id).or_default().push(*command);
                self.read_head_now(id, turn);
                None
            }
            (Some(_), Some(_)) => self.look_for(command, turn),
        }
    }

    /// A delivery that waits in memory behind its lane's head: it may be called off, and nothing else.
    fn command_queued(
        &mut self,
        id: LaneId,
        command: &Command,
        turn: &mut Turn<'_>,
    ) -> Option<CommandAnswer> {
        let lane = self.lanes.get_mut(&id)?;
        let meant = |item: &Item| item.delivery == command.target.delivery;
        let found = lane
            .queue
            .iter()
            .copied()
            .enumerate()
            .find(|(_, item)| meant(item));
        let Some((index, item)) = found else {
            return Some(CommandAnswer::NotFound);
        };
        if command.verb != Verb::Cancel {
            return Some(CommandAnswer::NotHead);
        }
        if self.appends.contains_key(&item.place) {
            return Some(CommandAnswer::Busy);
        }
        lane.queue.remove(index);
        lane.leaving += 1;
        self.leave(id, item, Progress::default(), command, turn)
    }

    /// Settles a message of a lane out of turn.
    fn leave(
        &mut self,
        id: LaneId,
        item: Item,
        progress: Progress,
        command: &Command,
        turn: &mut Turn<'_>,
    ) -> Option<CommandAnswer> {
        let unit = Unit::Single(item.destination, item.place);
        self.leaving.insert(item.place, id);
        self.singles.insert(item.place, Head::new(item, progress));
        self.end_now(unit, command, End::Cancelled(ErrorCode::Cancelled), turn)
    }

    /// A message that left its lane out of turn is gone.
    pub(super) fn left(&mut self, place: Place, item: Option<Item>, turn: &mut Turn<'_>) {
        let Some(id) = self.leaving.remove(&place) else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        if let Some(origin) = item.and_then(|item| item.origin) {
            lane.remember_left(origin);
        }
        match (place, &mut lane.parked) {
            (Place::Parked(sequence), Some(parked)) => {
                parked.drained += 1;
                parked.taken_is_gone(sequence);
            }
            (Place::Queue(_), _) => lane.leaving = lane.leaving.saturating_sub(1),
            (Place::Parked(_), None) => {}
        }
        let (parked, idle) = (lane.parked.is_some(), lane.head.is_none());
        match (parked, idle) {
            (true, _) => {
                self.append_next(id, turn);
                self.next_parked(id, turn);
            }
            (false, true) => self.next_queued(id, turn),
            (false, false) => {}
        }
    }

    /// Has the delivery looked for in the parked stream, one search of a delivery at a time.
    fn look_for(&mut self, command: &Command, turn: &mut Turn<'_>) -> Option<CommandAnswer> {
        let same = |other: &Command| other.target.delivery == command.target.delivery;
        if self.asked.finding.values().any(same) {
            return Some(CommandAnswer::Busy);
        }
        self.asked.finding.insert(command.id, *command);
        turn.actions.push(Action::Find(command.id, command.target));
        None
    }

    /// What was looked for lies there, or nowhere.
    pub(super) fn found(&mut self, id: CommandId, found: Search, turn: &mut Turn<'_>) {
        let Some(command) = self.asked.finding.remove(&id) else {
            return;
        };
        let answer = match (self.unit_of(command.target), found) {
            // It came into memory meanwhile.
            (Some(unit), _) => self.command_unit(unit, &command, turn),
            (None, Search::Broken) => Some(CommandAnswer::Busy),
            (None, Search::Nowhere) => match command.target.lane_id() {
                Some(lane) if self.lanes.contains_key(&lane) => self.command_queued(lane, &command, turn),
                _ => Some(CommandAnswer::NotFound),
            },
            (None, Search::Here(ParkedSubject::Lane(lane), message)) => {
                self.found_in_lane(lane, &message, &command, turn)
            }
            (None, Search::Here(ParkedSubject::Tier(_, tier), message)) => {
                self.found_in_tier(tier, &message, &command, turn)
            }
        };
        turn.actions
            .extend(answer.map(|answer| Action::answer(id, answer)));
    }

    fn found_in_lane(
        &mut self,
        id: LaneId,
        message: &ParkedMessage,
        command: &Command,
        turn: &mut Turn<'_>,
    ) -> Option<CommandAnswer> {
        if command.verb != Verb::Cancel {
            return Some(CommandAnswer::NotHead);
        }
        // As long as its copy in the queue may come again, or is not acked, it has to stay.
        let certain = self.caught_up && !self.held.contains_key(&message.arrival.sequence);
        let parked = self.lanes.get_mut(&id).and_then(|lane| lane.parked.as_mut());
        if !certain || !parked.is_some_and(|parked| parked.take(message.parked)) {
            return Some(CommandAnswer::Busy);
        }
        let mut item = Item::new(&message.arrival);
        item.place = Place::Parked(message.parked);
        self.leave(id, item, message.progress, command, turn)
    }

    fn found_in_tier(
        &mut self,
        tier: TierKey,
        message: &ParkedMessage,
        command: &Command,
        turn: &mut Turn<'_>,
    ) -> Option<CommandAnswer> {
        if command.verb == Verb::Hold {
            return Some(CommandAnswer::NotFound);
        }
        let destination = command.target.destination;
        if !self.take_from_tier(destination, tier, message.parked, true) {
            return Some(CommandAnswer::Busy);
        }
        let mut item = Item::new(&message.arrival);
        item.place = Place::Parked(message.parked);
        item.tier = Some(tier);
        self.singles.insert(item.place, Head::new(item, message.progress));
        self.command_unit(Unit::Single(destination, item.place), command, turn)
    }

    /// The lane's head was read, or is not there: what waited for it is looked at again.
    pub(super) fn answer_read(&mut self, id: LaneId, turn: &mut Turn<'_>) {
        for command in self.asked.reading.remove(&id).unwrap_or_default() {
            match self.lanes.get(&id).is_some_and(|lane| lane.head.is_some()) {
                true => self.command(&command, turn),
                false => turn.actions.push(Action::answer(command.id, CommandAnswer::Busy)),
            }
        }
    }
}
