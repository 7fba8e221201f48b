//! Settling deliveries, and what people ask of them.

use super::{
    Action, Command, CommandAnswer, End, HoldReason, PartitionLanes, Place, Settle,
    front::{Item, Stage, Unit},
    input::{Target, Verb},
    partition_lanes::Turn,
};
use crate::{delivery::ErrorCode, ids::DeliveryId};

impl PartitionLanes {
    /// Has the unit's head settled; nothing behind it moves before that is confirmed.
    pub(super) fn settle(&mut self, unit: Unit, end: End, turn: &mut Turn<'_>) {
        let Some(item) = self.head_mut(unit).map(|head| head.item) else {
            return;
        };
        let certain = self.is_place_certain(unit, &item);
        let Some(head) = self.head_mut(unit) else { return };
        if !certain {
            head.stage = Stage::Ended(end);
            return;
        }
        head.stage = Stage::Settling;
        let (item, progress) = (head.item, head.progress);
        self.settling.insert(item.place, unit);
        let (place, delivery, destination) = (item.place, item.delivery, item.destination);
        turn.actions.push(Action::Settle(Settle {
            place,
            delivery,
            destination,
            end,
            progress,
        }));
    }

    /// False while the message may lie in two places: its append is not known, or its copy in the
    /// queue not acked, or that copy may still arrive. Unordered deliveries need no such care.
    fn is_place_certain(&mut self, unit: Unit, item: &Item) -> bool {
        let Unit::Lane(id) = unit else {
            return !self.appends.contains_key(&item.place);
        };
        if matches!(item.place, Place::Queue(_)) {
            return !self.appends.contains_key(&item.place);
        }
        if self.is_parked(id, item.sequence) {
            self.ended_early.push(unit);
            return false;
        }
        !self.held.contains_key(&item.sequence)
    }

    /// The settlement of the message at `place` is confirmed.
    pub(super) fn settled(&mut self, place: Place, turn: &mut Turn<'_>) {
        if let Some(unit) = self.moved.remove(&place) {
            return self.moved_away(unit, place, turn);
        }
        if let Some(lane) = self.turned_away.remove(&place) {
            return self.turned_away(lane, place, turn);
        }
        let Some(unit) = self.settling.remove(&place) else {
            return;
        };
        self.let_go(unit, place);
        if let Some(delivery) = self.head_mut(unit).map(|head| head.item.delivery) {
            self.cancelled.remove(&delivery);
        }
        match unit {
            Unit::Lane(lane) => self.advance(lane, place, turn),
            Unit::Single(..) | Unit::Tier(..) => self.single_gone(place, turn),
        }
    }

    /// The queue's message at `place`, if it is one, is acked.
    pub(super) fn let_go(&mut self, unit: Unit, place: Place) {
        let Place::Queue(sequence) = place else {
            return self.let_go_parked(unit, place);
        };
        if self.held.remove(&sequence).is_some()
            && let Some(gate) = self.gates.get_mut(&unit.destination())
        {
            gate.held = gate.held.saturating_sub(1);
        }
    }

    fn let_go_parked(&mut self, unit: Unit, place: Place) {
        let item = self.head_mut(unit).map(|head| head.item);
        if let Some(item) = item.filter(|item| item.place == place) {
            self.count_unparked(&item);
        }
    }

    pub(super) fn command(&mut self, command: &Command, turn: &mut Turn<'_>) {
        let answer = match (self.find(command.target), command.target) {
            (Some(unit), _) => self.command_head(unit, command.verb, turn),
            (None, Target::Delivery(delivery)) => self.command_waiting(delivery, command.verb),
            (None, Target::Lane(_)) => CommandAnswer::NotFound,
        };
        turn.actions.push(Action::answer(command, answer));
    }

    /// The unit whose head is meant. Commands are seldom: a delivery is looked for among all.
    fn find(&self, target: Target) -> Option<Unit> {
        match target {
            Target::Lane(id) => self.lanes.get(&id)?.head.as_ref().map(|_| Unit::Lane(id)),
            Target::Delivery(delivery) => {
                let single = self.singles.values().find(|head| head.item.delivery == delivery);
                let single = single.map(|head| Unit::Single(head.item.destination, head.item.place));
                single.or_else(|| self.find_lane(delivery).map(Unit::Lane))
            }
        }
    }

    fn find_lane(&self, delivery: DeliveryId) -> Option<super::LaneId> {
        let heads = self
            .lanes
            .iter()
            .filter_map(|(id, lane)| lane.head.as_ref().map(|head| (id, head)));
        heads
            .into_iter()
            .find(|(_, head)| head.item.delivery == delivery)
            .map(|(id, _)| *id)
    }

    fn command_head(&mut self, unit: Unit, verb: Verb, turn: &mut Turn<'_>) -> CommandAnswer {
        if !self.head_mut(unit).is_some_and(|head| head.is_waiting()) {
            return CommandAnswer::Busy;
        }
        if verb == Verb::Hold && !matches!(unit, Unit::Lane(_)) {
            return CommandAnswer::NotFound;
        }
        self.stop_waiting(unit);
        match verb {
            Verb::Retry => self.send_now(unit, turn),
            Verb::Skip => self.settle(unit, End::Dead(ErrorCode::Cancelled), turn),
            Verb::Cancel => self.settle(unit, End::Cancelled(ErrorCode::Cancelled), turn),
            Verb::Hold => self.park_head(unit, HoldReason::Held, turn),
        }
        CommandAnswer::Done
    }

    /// A delivery behind a head: it can be called off, and is when its turn comes.
    fn command_waiting(&mut self, delivery: DeliveryId, verb: Verb) -> CommandAnswer {
        if verb != Verb::Cancel || !self.held.values().any(|held| *held == delivery) {
            return CommandAnswer::NotFound;
        }
        self.cancelled.insert(delivery);
        CommandAnswer::Done
    }

    fn send_now(&mut self, unit: Unit, turn: &mut Turn<'_>) {
        if let Some(head) = self.head_mut(unit) {
            head.progress.next_at = 0;
        }
        self.begin_head(unit, turn);
    }
}
