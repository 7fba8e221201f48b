//! Whose turn it is at a destination, kept as short as what really waits.
//!
//! A unit that is parked, or ended by a command, leaves its entry in the ready list behind: taking it out
//! would mean a search. A destination that is down gives out no turns, so its entries would pile up with
//! every delivery that is put aside for it. Now and then they are looked through.

use std::collections::{HashSet, VecDeque};

use super::{
    PartitionLanes,
    front::{Stage, Unit},
    parked::Reading,
};
use crate::ids::DestinationId;

/// Entries of a ready list that are never looked through.
const FEW_TURNS: usize = 64;

/// The units that wait for their turn at a destination.
#[derive(Debug)]
pub(super) struct Turns {
    /// Units whose head was never tried; they take turns with the others, so that many that fail
    /// don't stand before one that doesn't.
    fresh: VecDeque<Unit>,
    again: VecDeque<Unit>,
    again_next: bool,
    /// Units that had their turn, for which their message was read: as many as slots at most.
    just_read: VecDeque<Unit>,
    /// So many entries are worth a look.
    many: usize,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            fresh: VecDeque::new(),
            again: VecDeque::new(),
            again_next: false,
            just_read: VecDeque::new(),
            many: FEW_TURNS,
        }
    }

    pub(super) fn push(&mut self, unit: Unit, fresh: bool) {
        let list = if fresh { &mut self.fresh } else { &mut self.again };
        list.push_back(unit);
    }

    pub(super) fn push_just_read(&mut self, unit: Unit) {
        self.just_read.push_back(unit);
    }

    /// The next unit in turn: after those just read, one never tried and one tried before, alternately.
    pub(super) fn pop(&mut self) -> Option<Unit> {
        if let Some(unit) = self.just_read.pop_front() {
            return Some(unit);
        }
        self.again_next = !self.again_next;
        let (first, second) = if self.again_next {
            (&mut self.fresh, &mut self.again)
        } else {
            (&mut self.again, &mut self.fresh)
        };
        first.pop_front().or_else(|| second.pop_front())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.just_read.is_empty() && self.fresh.is_empty() && self.again.is_empty()
    }

    fn len(&self) -> usize {
        self.fresh.len() + self.again.len()
    }

    /// Keeps each unit that waits, once.
    fn keep(&mut self, waits: impl Fn(Unit) -> bool) {
        let mut seen = HashSet::new();
        for list in [&mut self.fresh, &mut self.again] {
            list.retain(|unit| waits(*unit) && seen.insert(*unit));
            list.shrink_to(FEW_TURNS);
        }
        // Twice as many: what is looked through in all is a few times what was ever pushed.
        self.many = FEW_TURNS + 2 * self.len();
    }
}

impl PartitionLanes {
    /// Forgets entries whose unit waits no more, where there may be many.
    pub(super) fn forget_passed_turns(&mut self, destination: DestinationId) {
        let Some(gate) = self.gates.get_mut(&destination) else {
            return;
        };
        if gate.turns.len() <= gate.turns.many {
            return;
        }
        let mut turns = std::mem::replace(&mut gate.turns, Turns::new());
        turns.keep(|unit| self.waits_for_turn(unit));
        if let Some(gate) = self.gates.get_mut(&destination) {
            gate.turns = turns;
        }
    }

    fn waits_for_turn(&self, unit: Unit) -> bool {
        match unit {
            Unit::Single(_, place) => {
                let single = self.singles.get(&place);
                single.is_some_and(|head| head.stage == Stage::Ready)
            }
            Unit::Tier(destination, number) => self.tier_waits_for_turn(destination, number),
            Unit::Lane(id) => self.lanes.get(&id).is_some_and(|lane| {
                let head = lane.head.as_ref().map(|head| head.stage);
                let read = lane.parked.as_ref().map(|parked| parked.reading);
                head == Some(Stage::Ready) || read == Some(Reading::Ready)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        destination::{OnDead, RetryPolicy},
        ids::DeliveryId,
        lane::{Action, Arrival, DestinationRules, Input, LaneKey, Limits, Parking, Takeover},
    };

    const DESTINATION: DestinationId = DestinationId::from_u128(7);

    fn rules() -> DestinationRules {
        DestinationRules {
            enabled: false,
            max_in_flight: 2,
            rate: None,
            retry: RetryPolicy::default(),
            on_dead: OnDead::Continue,
            parked_bytes: u64::MAX,
        }
    }

    fn arrival(sequence: u64, lane: Option<LaneKey>) -> Arrival {
        Arrival {
            sequence,
            delivery: DeliveryId::from_u128(u128::from(sequence)),
            destination: DESTINATION,
            lane,
            route: None,
            origin: None,
            caller: None,
            bytes: 100,
        }
    }

    /// Everything that the engine wants is done at once.
    fn give(engine: &mut PartitionLanes, parked: &mut u64, input: Input) {
        let mut actions = Vec::new();
        engine.apply(0, input, &mut actions);
        for action in actions {
            match action {
                Action::Append { place, .. } => {
                    *parked += 1;
                    let at = *parked;
                    give(engine, parked, Input::Appended { place, parked: at });
                }
                Action::Settle(settle) => give(engine, parked, Input::Settled(settle.place)),
                _ => {}
            }
        }
    }

    fn check(lane_of: impl Fn(u64) -> Option<LaneKey>, most: usize) {
        let mut engine = PartitionLanes::new(Limits::default(), Parking::On, Takeover::default(), 0);
        let mut parked = 0;
        let rules = Input::Destination(DESTINATION, Some(Box::new(rules())));
        give(&mut engine, &mut parked, rules);
        for sequence in 1..=10_000 {
            let arrival = arrival(sequence, lane_of(sequence));
            give(&mut engine, &mut parked, Input::Arrived(arrival));
        }
        let turns = &engine.gates[&DESTINATION].turns;
        assert!(turns.len() <= most, "{} entries", turns.len());
    }

    #[test]
    fn what_is_put_aside_for_a_destination_that_is_down_leaves_nothing_behind() {
        check(|_| None, FEW_TURNS + 1);
    }

    #[test]
    fn each_parked_lane_waits_for_its_turn_once() {
        check(
            |sequence| Some(LaneKey::from_u64(sequence % 100)),
            FEW_TURNS + 3 * 100,
        );
    }
}
