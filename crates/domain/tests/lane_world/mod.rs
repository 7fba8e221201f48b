//! A broker, receivers and a dispatcher's edge as plain vectors, around a real engine: what the order
//! engine is checked against. Every promise is checked at the moment it could be broken.

use std::collections::{HashMap, HashSet};

use hookrail_domain::{
    Millis,
    destination::{OnDead, RetryPolicy},
    ids::{DeliveryId, DestinationId},
    lane::{
        Action, Arrival, DestinationRules, End, Input, LaneKey, Limits, Origin, Parking, PartitionLanes, Place, Send,
        Settle, Takeover,
    },
    retry::{AttemptResult, FailureCode},
};

/// How long after an unclean takeover the lanes that may have been in hand wait.
const TAKEOVER_WAIT_MS: Millis = 15_000;

/// One message of the queue, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) arrival: Arrival,
    /// Still in the queue.
    pub(crate) queued: bool,
    /// Given to the engine that runs now.
    pub(crate) given: bool,
    /// Its end took effect.
    pub(crate) end: Option<End>,
    /// Attempts that any engine began.
    pub(crate) attempts: u32,
    /// The last attempt failed, so it may wait for a timer.
    pub(crate) failed: bool,
}

/// What a receiver does with an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    Accept,
    Fail,
    TimeOut,
    Refuse,
    Gone,
}

pub(crate) struct World {
    pub(crate) now: Millis,
    pub(crate) engine: PartitionLanes,
    pub(crate) messages: Vec<Message>,
    pub(crate) sends: Vec<Send>,
    pub(crate) settles: Vec<Settle>,
    pub(crate) enabled: HashMap<DestinationId, bool>,
    limits: Limits,
    parking: Parking,
    not_before: Millis,
    taken_over_at: usize,
    settled_origins: HashSet<(DestinationId, LaneKey, Origin)>,
}

pub(crate) fn destination(number: u8) -> DestinationId {
    DestinationId::from_u128(u128::from(number) + 1)
}

fn rules(enabled: bool) -> DestinationRules {
    let retry = RetryPolicy {
        initial_ms: 1_000,
        multiplier: 2.0,
        max_ms: 8_000,
        jitter: 0.2,
        give_up_after_ms: None,
        max_attempts: Some(5),
        permanent_statuses: vec![422],
    };
    DestinationRules { enabled, max_in_flight: 64, rate: None, retry, on_dead: OnDead::Continue }
}

impl World {
    pub(crate) fn new(limits: Limits, parking: Parking, destinations: u8) -> Self {
        let now = 1_000_000;
        let engine = PartitionLanes::new(limits, parking, Takeover::default(), now);
        let enabled = (0..destinations).map(|number| (destination(number), true)).collect();
        let mut world = Self {
            now,
            engine,
            messages: Vec::new(),
            sends: Vec::new(),
            settles: Vec::new(),
            enabled,
            limits,
            parking,
            not_before: 0,
            taken_over_at: 0,
            settled_origins: HashSet::new(),
        };
        world.define_all();
        world
    }

    fn define_all(&mut self) {
        let mut all: Vec<_> = self.enabled.iter().map(|(id, enabled)| (*id, *enabled)).collect();
        all.sort_unstable();
        for (id, enabled) in all {
            self.apply(Input::Destination(id, Some(Box::new(rules(enabled)))));
        }
    }

    /// Gives the engine one input, takes its actions, and checks each of them.
    pub(crate) fn apply(&mut self, input: Input) {
        let mut actions = Vec::new();
        self.engine.apply(self.now, input, &mut actions);
        for action in actions {
            match action {
                Action::Send(send) => self.sent(send),
                Action::Settle(settle) => self.settle_wanted(settle),
                Action::Record { .. } | Action::Answer { .. } => {}
                Action::DestinationGone { destination, .. } => drop(self.enabled.insert(destination, false)),
            }
        }
    }

    fn index_at(&self, place: Place) -> usize {
        match place {
            Place::Queue(sequence) => sequence as usize - 1,
            Place::Parked(sequence) => panic!("{sequence}: nothing is parked"),
        }
    }

    fn sent(&mut self, send: Send) {
        let index = self.index_at(send.place);
        self.check_turn(index);
        let message = &mut self.messages[index];
        assert!(message.given && message.end.is_none(), "sent after its end: {message:?}");
        assert!(self.enabled[&send.destination], "sent to a disabled destination");
        assert!(self.sends.iter().all(|other| other.place != send.place), "sent twice at once");
        message.attempts += 1;
        self.sends.push(send);
    }

    /// In an ordered lane all that came before is settled, and what was settled is not sent again.
    fn check_turn(&self, index: usize) {
        let arrival = self.messages[index].arrival;
        let Some(lane) = arrival.lane else { return };
        for earlier in &self.messages[..index] {
            let same = (earlier.arrival.destination, earlier.arrival.lane) == (arrival.destination, arrival.lane);
            assert!(!same || earlier.end.is_some(), "{index} was sent before {earlier:?} was settled");
        }
        // A lane that is forgotten knows nothing of what it settled.
        let remembered = self.limits.remembered_lanes >= self.messages.len();
        if let Some(origin) = arrival.origin.filter(|_| remembered) {
            assert!(!self.settled_origins.contains(&(arrival.destination, lane, origin)), "a stale copy was sent");
        }
        let given_out = index < self.taken_over_at;
        assert!(!given_out || self.now >= self.not_before, "sent while the owner before may still be sending");
    }

    fn settle_wanted(&mut self, settle: Settle) {
        let message = &self.messages[self.index_at(settle.place)];
        assert!(message.end.is_none(), "settled twice: {message:?}");
        assert!(!matches!(settle.end, End::Dead(_)) || settle.progress.attempts > 0, "dead before one attempt");
        self.settles.push(settle);
    }

    /// A new message: of a lane, or by itself. `origin` as given, or the next.
    pub(crate) fn publish(&mut self, to: DestinationId, lane: Option<u8>, copy_of: Option<usize>) {
        let sequence = self.messages.len() as u64 + 1;
        let original = copy_of.filter(|_| !self.messages.is_empty()).map(|n| n % self.messages.len());
        let mut arrival = Arrival {
            sequence,
            delivery: DeliveryId::from_u128(u128::from(sequence)),
            destination: to,
            lane: lane.map(|lane| LaneKey::from_u128(u128::from(lane))),
            origin: Some(Origin { partition: 1, sequence, index: 0 }),
            respond: false,
            expires_at: None,
            bytes: 1_000,
        };
        if let Some(original) = original {
            arrival = Arrival { sequence, ..self.messages[original].arrival };
        }
        let message = Message { arrival, queued: true, given: false, end: None, attempts: 0, failed: false };
        self.messages.push(message);
    }

    /// The consumer gives the engine up to `count` messages that it was not given yet, in order.
    pub(crate) fn deliver(&mut self, count: usize) {
        for index in 0..self.messages.len() {
            let message = &mut self.messages[index];
            if message.queued && !message.given {
                message.given = true;
                let arrival = message.arrival;
                self.apply(Input::Arrived(arrival));
            }
            if self.messages[..=index].iter().filter(|m| m.queued && m.given).count() >= count.max(1) {
                break;
            }
        }
    }

    /// The broker gives a message again that the engine holds.
    pub(crate) fn redeliver(&mut self, pick: usize) {
        let held: Vec<Arrival> = self.messages.iter().filter(|m| m.queued && m.given).map(|m| m.arrival).collect();
        if let Some(arrival) = held.get(pick % held.len().max(1)) {
            self.apply(Input::Arrived(*arrival));
        }
    }

    /// An attempt in flight ends.
    pub(crate) fn reply(&mut self, pick: usize, reply: Reply, jitter: f64) {
        if self.sends.is_empty() {
            return;
        }
        let send = self.sends.remove(pick % self.sends.len());
        let index = self.index_at(send.place);
        let answered = |status| AttemptResult::Answered { status, retry_after_ms: None };
        let result = match reply {
            Reply::Accept => answered(200),
            Reply::Fail => answered(500),
            Reply::TimeOut => AttemptResult::Failed(FailureCode::Timeout),
            Reply::Refuse => answered(422),
            Reply::Gone => answered(410),
        };
        self.messages[index].failed = !result.is_success();
        self.apply(Input::AttemptFinished { attempt: send.attempt, result, jitter });
    }

    /// A settlement takes effect and is confirmed.
    pub(crate) fn confirm(&mut self, pick: usize) {
        if self.settles.is_empty() {
            return;
        }
        let settle = self.settles.remove(pick % self.settles.len());
        self.take_effect(&settle);
        self.apply(Input::Settled(settle.place));
    }

    fn take_effect(&mut self, settle: &Settle) {
        let index = self.index_at(settle.place);
        let message = &mut self.messages[index];
        message.end = Some(settle.end);
        message.queued = false;
        let arrival = message.arrival;
        if let (Some(lane), Some(origin)) = (arrival.lane, arrival.origin) {
            self.settled_origins.insert((arrival.destination, lane, origin));
        }
    }

    pub(crate) fn advance(&mut self, ms: Millis) {
        self.now += ms;
        self.apply(Input::Tick);
    }

    pub(crate) fn enable(&mut self, to: DestinationId, enabled: bool) {
        self.enabled.insert(to, enabled);
        self.apply(Input::Destination(to, Some(Box::new(rules(enabled)))));
    }

    /// The owner dies; a new one takes over. Of what was under way, `effects` took effect unseen.
    pub(crate) fn crash(&mut self, effects: usize) {
        let settles = std::mem::take(&mut self.settles);
        for settle in settles.iter().take(effects) {
            self.take_effect(settle);
        }
        self.sends.clear();
        self.settled_origins.clear();
        self.taken_over_at = self.messages.iter().rposition(|m| m.given).map_or(0, |index| index + 1);
        self.not_before = self.now + TAKEOVER_WAIT_MS;
        for message in &mut self.messages {
            message.given = false;
            message.failed = false;
        }
        let takeover = Takeover { delivered: self.taken_over_at as u64, not_before: self.not_before };
        self.engine = PartitionLanes::new(self.limits, self.parking, takeover, self.now);
        self.define_all();
    }

    /// Nothing that could go out is kept waiting: the first unsettled delivery of each lane that was
    /// given, did not fail, and whose destination is enabled, is on its way.
    pub(crate) fn check_nothing_waits(&self) {
        let mut seen = HashSet::new();
        for (index, message) in self.messages.iter().enumerate() {
            let arrival = message.arrival;
            let first = arrival.lane.is_none_or(|lane| message.end.is_some() || seen.insert((arrival.destination, lane)));
            let taken_over = arrival.lane.is_some() && index < self.taken_over_at && self.now < self.not_before;
            let free = first && message.given && message.end.is_none() && !message.failed && !taken_over;
            if free && self.enabled[&arrival.destination] {
                let sending = self.sends.iter().any(|send| self.index_at(send.place) == index);
                let settling = self.settles.iter().any(|settle| self.index_at(settle.place) == index);
                assert!(sending || settling, "{index} waits for nothing: {message:?}");
            }
        }
    }

    /// All receivers accept from now on: everything ends, and nothing is left in the engine.
    pub(crate) fn finish(&mut self) {
        let mut all: Vec<DestinationId> = self.enabled.keys().copied().collect();
        all.sort_unstable();
        for id in all {
            self.enable(id, true);
        }
        // Each round settles at least the head of every lane.
        for _ in 0..=self.messages.len() * 4 {
            self.deliver(usize::MAX);
            while !self.sends.is_empty() || !self.settles.is_empty() {
                self.reply(0, Reply::Accept, 0.0);
                self.confirm(0);
            }
            if self.messages.iter().all(|m| m.end.is_some()) {
                break;
            }
            let next = self.engine.next_wake().expect("what is left waits for a timer");
            self.advance((next - self.now).max(0));
        }
        for message in &self.messages {
            assert!(message.end.is_some(), "lost: {message:?}");
        }
        assert_eq!((self.engine.held(), self.engine.in_flight(), self.engine.settling()), (0, 0, 0));
    }
}
