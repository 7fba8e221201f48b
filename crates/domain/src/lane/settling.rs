//! Settling deliveries.

use super::{
    Action, End, PartitionLanes, Place, Settle,
    front::{Item, Stage, Unit},
    partition_lanes::Turn,
};

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
        self.settling.insert(item.place, (unit, end));
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
        let Some((unit, end)) = self.settling.remove(&place) else {
            return;
        };
        self.let_go(unit, place);
        if let Some(gate) = self.gates.get_mut(&unit.destination()) {
            gate.settled(turn.now);
        }
        let item = self.head_mut(unit).map(|head| head.item);
        if let Some(delivery) = item.map(|item| item.delivery) {
            self.cancelled.remove(&delivery);
            self.answer_settled(delivery, end, turn);
        }
        match unit {
            Unit::Lane(lane) => self.advance(lane, place, turn),
            Unit::Single(..) | Unit::Tier(..) => {
                self.single_gone(place, turn);
                self.left(place, item, turn);
            }
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
}
