//! The state of one partition's lanes, and the turn that every input takes through it.
//!
//! Here: what there is, and which part of the engine an input goes to. What happens then is in
//! `ordered`, `single`, `attempt` and `settling`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::{
    Action, Arrival, AttemptId, End, Input, LaneId, Limits, Parking, Place, Takeover, TierKey, TokenBucket,
    attempt::Flight,
    commands::Asked,
    destination_gate::{DestinationRules, Gate},
    front::{Head, Item, Stage, Unit},
    ordered::Lane,
    parked::Appending,
    tier::Tier,
    timers::{Alarm, Timers},
};
use crate::{
    Millis,
    circuit::CircuitState,
    ids::{DeliveryId, DestinationId},
    retry::Progress,
    short_id::ShortId,
};

/// The lanes of one partition, under one owner. A new owner begins with a new engine.
#[derive(Debug)]
pub struct PartitionLanes {
    pub(super) limits: Limits,
    pub(super) parking: Parking,
    pub(super) takeover: Takeover,
    pub(super) gates: HashMap<DestinationId, Gate>,
    pub(super) lanes: HashMap<LaneId, Lane>,
    /// Idle lanes that are remembered, longest idle first.
    pub(super) idle: BTreeMap<u64, LaneId>,
    pub(super) idle_counter: u64,
    pub(super) singles: HashMap<Place, Head>,
    /// Un-acked messages of the queue, by sequence.
    pub(super) held: HashMap<u64, DeliveryId>,
    /// Deliveries in flight that a person cancelled: where the attempt fails, it is the last.
    pub(super) cancelled: HashSet<DeliveryId>,
    /// Commands that are not answered yet.
    pub(super) asked: Asked,
    /// Messages of lanes that are settled out of turn.
    pub(super) leaving: HashMap<Place, LaneId>,
    pub(super) flights: HashMap<AttemptId, Flight>,
    pub(super) settling: HashMap<Place, (Unit, End)>,
    /// Appends under way, by where the message lay.
    pub(super) appends: HashMap<Place, Appending>,
    /// Messages that lie elsewhere now, and whose ack or delete is under way.
    pub(super) moved: HashMap<Place, Unit>,
    /// Messages that found no room in the parked stream, and whose end is being recorded.
    pub(super) turned_away: HashMap<Place, LaneId>,
    /// The last sequence of the queue that a takeover found parked, by lane: what comes again up to
    /// there is acked. Forgotten once the queue has given all that the owner before had.
    pub(super) parked_to: HashMap<LaneId, u64>,
    /// True once it has.
    pub(super) caught_up: bool,
    /// Lanes whose parked head ended before that.
    pub(super) ended_early: Vec<Unit>,
    pub(super) tiers: HashMap<(DestinationId, TierKey), Tier>,
    /// Reads of the parked stream under way.
    pub(super) reading: usize,
    pub(super) timers: Timers,
    /// Destinations that may have something to send, in turn.
    pub(super) listed: VecDeque<DestinationId>,
    pub(super) attempts: TokenBucket,
    pub(super) next_attempt: u64,
    pub(super) draining: bool,
    pub(super) paused_routes: BTreeSet<ShortId>,
    /// Destinations that may have more in memory than one may that does not settle it fast.
    pub(super) holding_much: BTreeSet<DestinationId>,
}

/// One input's time, and where the actions that follow from it go.
pub(super) struct Turn<'a> {
    pub(super) now: Millis,
    pub(super) actions: &'a mut Vec<Action>,
}

impl PartitionLanes {
    /// An engine without messages, at `now`.
    pub fn new(limits: Limits, parking: Parking, takeover: Takeover, now: Millis) -> Self {
        Self {
            attempts: TokenBucket::new(limits.attempts, now),
            limits,
            parking,
            takeover,
            gates: HashMap::new(),
            lanes: HashMap::new(),
            idle: BTreeMap::new(),
            idle_counter: 0,
            singles: HashMap::new(),
            held: HashMap::new(),
            cancelled: HashSet::new(),
            asked: Asked::default(),
            leaving: HashMap::new(),
            flights: HashMap::new(),
            settling: HashMap::new(),
            appends: HashMap::new(),
            moved: HashMap::new(),
            turned_away: HashMap::new(),
            parked_to: HashMap::new(),
            caught_up: takeover.delivered == 0,
            ended_early: Vec::new(),
            tiers: HashMap::new(),
            reading: 0,
            timers: Timers::default(),
            listed: VecDeque::new(),
            next_attempt: 0,
            draining: false,
            paused_routes: BTreeSet::new(),
            holding_much: BTreeSet::new(),
        }
    }

    /// Takes `input`, and appends what is to be done to `actions`. Timers that are due at `now` fire too.
    pub fn apply(&mut self, now: Millis, input: Input, actions: &mut Vec<Action>) {
        let turn = &mut Turn { now, actions };
        match input {
            Input::Destination(id, Some(rules)) => self.define(id, *rules, turn),
            Input::Destination(id, None) => self.delete(id, turn),
            Input::PausedRoutes(paused) => self.pause_routes(paused, turn),
            Input::Arrived(arrival) => self.arrive(&arrival, turn),
            Input::AttemptFinished {
                attempt,
                result,
                jitter,
            } => self.finish(attempt, result, jitter, turn),
            Input::Settled(place) => self.settled(place, turn),
            Input::Appended { place, parked } => self.appended(place, parked, turn),
            Input::AppendRefused(place) => self.append_refused(place, turn),
            Input::HeadRead(lane, message) => self.head_read(lane, message.as_deref(), turn),
            Input::TierRead {
                destination,
                tier,
                messages,
            } => self.tier_read(destination, tier, &messages, turn),
            Input::LaneStateWritten(lane, sequence) => self.state_written(lane, sequence, turn),
            Input::LaneStateRefused(lane) => self.state_refused(lane, turn),
            Input::Found(command, found) => self.found(command, found, turn),
            Input::Parked(set) => self.load(set, turn),
            Input::CaughtUp => self.catch_up(turn),
            Input::Command(command) => self.command(&command, turn),
            Input::Share { in_flight, attempts } => {
                self.limits.in_flight = in_flight;
                self.attempts.change(attempts, now);
            }
            Input::Tick => {}
            Input::Drain => self.draining = true,
        }
        self.fire_timers(turn);
        self.put_aside_what_slowed_down(turn);
        self.send_ready(turn);
    }

    /// When the next `Tick` is wanted; until then only other inputs change anything.
    pub fn next_wake(&self) -> Option<Millis> {
        if self.draining {
            None
        } else {
            self.timers.next_at()
        }
    }

    /// True where the queue's message `sequence` is in memory, un-acked.
    pub fn holds(&self, sequence: u64) -> bool {
        self.held.contains_key(&sequence)
    }

    /// False while a destination has much in memory and settles it fast: the queue is left alone for
    /// that moment, since what it would give next could only be put aside.
    pub fn wants_more(&self, now: Millis) -> bool {
        let mut gates = self.holding_much.iter().filter_map(|id| self.gates.get(id));
        !gates.any(|gate| gate.is_nearly_full(&self.limits) && gate.keeps_up(&self.limits, now))
    }

    /// Messages of the queue that are in memory, un-acked.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Attempts in flight.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Settlements under way.
    pub fn settling(&self) -> usize {
        self.settling.len() + self.moved.len() + self.turned_away.len()
    }

    /// True after [`Input::Drain`] once nothing is in flight or being settled.
    pub fn is_drained(&self) -> bool {
        self.draining
            && self.flights.is_empty()
            && self.settling.is_empty()
            && self.appends.is_empty()
            && self.moved.is_empty()
            && self.turned_away.is_empty()
    }

    /// True where the next owner can go on at once. Before, what the owner before this one had may
    /// still be on its way: the next has to take over as from an unclean one, even after a drain.
    pub fn is_clean(&self, now: Millis) -> bool {
        self.is_drained() && self.caught_up && now >= self.takeover.not_before
    }

    /// Where a destination's circuit stands.
    pub fn circuit(&self, destination: DestinationId) -> Option<CircuitState> {
        self.gates.get(&destination).map(Gate::circuit)
    }

    fn define(&mut self, id: DestinationId, rules: DestinationRules, turn: &Turn<'_>) {
        match self.gates.get_mut(&id) {
            Some(gate) => gate.redefine(rules, &self.limits, turn.now),
            None => drop(self.gates.insert(id, Gate::new(rules, &self.limits, turn.now))),
        }
        self.list(id);
    }

    /// Cancels all that waits for the destination. Looks at every lane: definitions are deleted seldom.
    fn delete(&mut self, id: DestinationId, turn: &mut Turn<'_>) {
        self.gates
            .entry(id)
            .or_insert_with(|| Gate::unknown(&self.limits, turn.now))
            .deleted = true;
        let lanes = self
            .lanes
            .keys()
            .filter(|lane| lane.destination == id)
            .map(|lane| Unit::Lane(*lane));
        let singles = self
            .singles
            .iter()
            .filter(|(_, head)| head.item.destination == id);
        let singles = singles.map(|(place, _)| Unit::Single(id, *place));
        let mut units: Vec<Unit> = lanes.chain(singles).collect();
        units.sort_unstable();
        for unit in units {
            if self.head_mut(unit).is_some_and(|head| head.is_waiting()) {
                self.stop_waiting(unit);
                self.begin_head(unit, turn);
            }
        }
        self.wake_tiers(id);
        self.list(id);
    }

    fn arrive(&mut self, arrival: &Arrival, turn: &mut Turn<'_>) {
        if self.held.insert(arrival.sequence, arrival.delivery).is_some() {
            return;
        }
        if let Some(gate) = self.gates.get_mut(&arrival.destination) {
            gate.held += 1;
            if gate.holds_much(&self.limits) {
                self.holding_much.insert(arrival.destination);
            }
        }
        if arrival.sequence > self.takeover.delivered {
            self.catch_up(turn);
        }
        match arrival.lane_id() {
            Some(lane) if self.is_parked(lane, arrival.sequence) => {
                self.let_move(Unit::Lane(lane), Item::new(arrival), Progress::default(), turn);
            }
            Some(lane) => self.arrive_in_lane(lane, arrival, turn),
            None => self.arrive_single(arrival, turn),
        }
    }

    fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some(alarm) = self.timers.pop_due(turn.now) {
            match alarm {
                Alarm::Attempts => {}
                Alarm::Gate(destination) => self.list(destination),
                Alarm::Append(lane) => self.append_again(lane, turn),
                Alarm::Head(unit) => self.wake(unit, turn),
            }
        }
    }

    /// The head of a lane, or the delivery that stands for itself.
    pub(super) fn head_mut(&mut self, unit: Unit) -> Option<&mut Head> {
        match unit {
            Unit::Lane(lane) => self.lanes.get_mut(&lane)?.head.as_mut(),
            Unit::Single(_, place) => self.singles.get_mut(&place),
            Unit::Tier(..) => None,
        }
    }

    /// Takes the unit's head out of its timer, if it has one.
    pub(super) fn stop_waiting(&mut self, unit: Unit) {
        let Some(head) = self.head_mut(unit) else { return };
        if let Stage::Until(at) = std::mem::replace(&mut head.stage, Stage::Held) {
            self.timers.clear(at, Alarm::Head(unit));
        }
    }
}
