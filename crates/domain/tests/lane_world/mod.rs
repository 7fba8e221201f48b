//! A broker, receivers and a dispatcher's edge as plain vectors, around a real engine: what the order
//! engine is checked against. Every promise is checked at the moment it could be broken.

mod operations;
mod owners;
mod parked_stream;
mod promises;

use std::collections::{BTreeSet, HashMap, HashSet};

use hookrail_domain::{
    Millis,
    delivery::ErrorCode,
    destination::{OnDead, RetryPolicy},
    ids::{DeliveryId, DestinationId},
    lane::{
        Action, Arrival, Caller, Command, CommandAnswer, CommandId, DestinationRules, End, Input, LaneId,
        LaneKey, LanePlace, Limits, Origin, ParkedSubject, Parking, PartitionLanes, Place, Send, Settle,
        Takeover, Target, TierKey, Verb,
    },
    retry::{AttemptResult, Progress},
    short_id::ShortId,
};

use parked_stream::ParkedStream;

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
    /// The engine that runs now was told an answer of the receiver.
    pub(crate) answered: bool,
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

/// What becomes of an append.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Append {
    Confirm,
    /// It takes effect, and the engine learns of it later.
    ConfirmLater,
    Refuse,
}

/// An append that the engine wants.
#[derive(Debug, Clone, Copy)]
struct WantedAppend {
    place: Place,
    to: ParkedSubject,
    progress: Progress,
    held: bool,
}

/// A read that the engine wants.
#[derive(Debug, Clone, Copy)]
enum WantedRead {
    Head(LaneId),
    Tier(DestinationId, TierKey, u64, u32),
    Find(CommandId, Target),
}

/// What a person asked, and was answered.
#[derive(Debug, Clone, Copy)]
struct Asked {
    verb: Verb,
    target: Target,
    answer: Option<CommandAnswer>,
}

pub(crate) struct World {
    pub(crate) now: Millis,
    pub(crate) engine: PartitionLanes,
    pub(crate) messages: Vec<Message>,
    pub(crate) sends: Vec<Send>,
    pub(crate) settles: Vec<Settle>,
    pub(crate) enabled: HashMap<DestinationId, bool>,
    appends: Vec<WantedAppend>,
    /// Appends that took effect, and whose confirmation is still on its way.
    appended: Vec<(WantedAppend, u64)>,
    reads: Vec<WantedRead>,
    stream: ParkedStream,
    written: Vec<(LaneId, u64)>,
    limits: Limits,
    parking: Parking,
    quota: u64,
    not_before: Millis,
    taken_over_at: usize,
    asked: Vec<Asked>,
    /// Commands before this one were asked of an owner that is gone.
    asked_here: usize,
    /// Reads that were made, and whose answer is still on its way.
    answers: Vec<Input>,
    /// Lanes that a person may have held.
    touched: HashSet<LaneId>,
    /// Lanes whose head was dead and may wait for a person.
    held: HashSet<LaneId>,
    caught_up: bool,
    settled_origins: HashSet<(DestinationId, LaneKey, LanePlace)>,
    /// Routes that are paused now.
    pub(crate) paused: BTreeSet<ShortId>,
    /// Heads of lanes of which the engine that runs now told that they wait for their route.
    told_paused: HashSet<DeliveryId>,
    /// Deliveries that a person wanted sent, whatever they wait for.
    urged: HashSet<DeliveryId>,
}

pub(crate) fn destination(number: u8) -> DestinationId {
    DestinationId::from_u128(u128::from(number) + 1)
}

/// After so many attempts a delivery is dead.
const ATTEMPTS_MAX: u32 = 5;
/// Of so many messages one has a caller that waits for its answer.
const CALLERS: u64 = 4;
/// The destination whose dead heads wait for a person.
const HOLDING: u8 = 1;

fn rules(id: DestinationId, enabled: bool, parked_bytes: u64) -> DestinationRules {
    let retry = RetryPolicy {
        initial_ms: 1_000,
        multiplier: 2.0,
        max_ms: 8_000,
        jitter: 0.2,
        give_up_after_ms: None,
        max_attempts: Some(ATTEMPTS_MAX),
        permanent_statuses: vec![422],
    };
    DestinationRules {
        enabled,
        max_in_flight: 64,
        rate: None,
        retry,
        on_dead: if id == destination(HOLDING) {
            OnDead::Hold
        } else {
            OnDead::Continue
        },
        parked_bytes,
    }
}

/// Of so many messages one is of an event that its source held, so that it comes after younger ones.
const HELD_BACK: u64 = 5;

/// Routes that messages come by in turn.
pub(crate) const ROUTES: u64 = 3;

/// The route that a message comes by.
fn route(number: u64) -> ShortId {
    ShortId::of(u128::from(number % ROUTES) + 1)
}

/// A message's place in the order: its own, or that of an event from long before.
fn place(number: u64) -> LanePlace {
    let was_held = number.is_multiple_of(HELD_BACK);
    LanePlace {
        origin: Origin {
            partition: 1,
            sequence: if was_held { number / HELD_BACK } else { number },
            index: 0,
        },
        held_by: was_held.then_some(ShortId::of(1)),
    }
}

impl World {
    pub(crate) fn new(limits: Limits, parking: Parking, destinations: u8) -> Self {
        Self::with_quota(limits, parking, destinations, u64::MAX)
    }

    /// As [`World::new`]; each destination may have so many bytes parked.
    pub(crate) fn with_quota(limits: Limits, parking: Parking, destinations: u8, quota: u64) -> Self {
        let now = 1_000_000;
        let engine = PartitionLanes::new(limits, parking, Takeover::default(), now);
        let enabled = (0..destinations)
            .map(|number| (destination(number), true))
            .collect();
        let mut world = Self {
            now,
            engine,
            messages: Vec::new(),
            sends: Vec::new(),
            settles: Vec::new(),
            enabled,
            appends: Vec::new(),
            appended: Vec::new(),
            reads: Vec::new(),
            stream: ParkedStream::default(),
            written: Vec::new(),
            limits,
            parking,
            quota,
            not_before: 0,
            taken_over_at: 0,
            asked: Vec::new(),
            asked_here: 0,
            answers: Vec::new(),
            touched: HashSet::new(),
            held: HashSet::new(),
            caught_up: true,
            settled_origins: HashSet::new(),
            paused: BTreeSet::new(),
            told_paused: HashSet::new(),
            urged: HashSet::new(),
        };
        world.define_all();
        world
    }

    fn define_all(&mut self) {
        self.apply(Input::PausedRoutes(self.paused.clone()));
        let mut all: Vec<_> = self.enabled.iter().map(|(id, enabled)| (*id, *enabled)).collect();
        all.sort_unstable();
        for (id, enabled) in all {
            self.apply(Input::Destination(
                id,
                Some(Box::new(rules(id, enabled, self.quota))),
            ));
        }
    }

    /// Gives the engine one input, takes its actions, and checks each of them.
    pub(crate) fn apply(&mut self, input: Input) {
        let mut actions = Vec::new();
        self.engine.apply(self.now, input, &mut actions);
        self.take(actions);
        // Lane states are written at once; their confirmation comes as the next input.
        while let Some((lane, at)) = self.written.pop() {
            let mut actions = Vec::new();
            self.engine
                .apply(self.now, Input::LaneStateWritten(lane, at), &mut actions);
            self.take(actions);
        }
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(send) => self.sent(send),
                Action::Settle(settle) => self.settle_wanted(settle),
                Action::Append {
                    place,
                    to,
                    progress,
                    reason,
                } => {
                    assert!(self.parking == Parking::On, "parked although parking is off");
                    let held = reason == hookrail_domain::lane::HoldReason::Held;
                    self.check_append(place, to);
                    self.appends.push(WantedAppend {
                        place,
                        to,
                        progress,
                        held,
                    });
                }
                Action::ReadHead(lane) => self.reads.push(WantedRead::Head(lane)),
                Action::ReadTier {
                    destination,
                    tier,
                    after,
                    most,
                } => {
                    self.reads.push(WantedRead::Tier(destination, tier, after, most));
                }
                Action::WriteLaneState(lane, state) => {
                    let at = self.stream.write_state(lane, state);
                    self.written.push((lane, at));
                }
                Action::DeleteLaneState(lane, at) => self.stream.delete_state(lane, at),
                Action::RecordPaused { place, .. } => self.check_told_paused(place),
                Action::Record { .. } | Action::OverQuota { .. } => {}
                Action::CallerInVain { place, .. } => self.check_in_vain(place),
                Action::Answer { command, answer } => self.check_answer(command, answer),
                Action::Find(id, target) => self.reads.push(WantedRead::Find(id, target)),
                Action::DestinationGone { destination, .. } => drop(self.enabled.insert(destination, false)),
            }
        }
    }

    fn index_at(&self, place: Place) -> usize {
        match place {
            Place::Queue(sequence) => sequence as usize - 1,
            Place::Parked(sequence) => self.stream.index(sequence),
        }
    }

    /// A new message: of a lane, or by itself. `origin` as given, or the next.
    pub(crate) fn publish(&mut self, to: DestinationId, lane: Option<u8>, copy_of: Option<usize>) {
        let sequence = self.messages.len() as u64 + 1;
        let original = copy_of
            .filter(|_| !self.messages.is_empty())
            .map(|n| n % self.messages.len());
        let caller = sequence.is_multiple_of(CALLERS).then_some(Caller {
            deadline: self.now + 10_000,
            waits_until: self.now + 3_000,
            drop_late: sequence.is_multiple_of(2 * CALLERS),
        });
        let mut arrival = Arrival {
            sequence,
            delivery: DeliveryId::from_u128(u128::from(sequence)),
            destination: to,
            lane: lane.map(|lane| LaneKey::from_u64(u64::from(lane))),
            route: Some(route(sequence)),
            origin: Some(place(sequence)),
            caller,
            bytes: 1_000,
        };
        if let Some(original) = original {
            arrival = Arrival {
                sequence,
                ..self.messages[original].arrival
            };
        }
        let message = Message {
            arrival,
            queued: true,
            given: false,
            end: None,
            attempts: 0,
            failed: false,
            answered: false,
        };
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
            if self.messages[..=index]
                .iter()
                .filter(|m| m.queued && m.given)
                .count()
                >= count.max(1)
            {
                break;
            }
        }
        self.tell_when_caught_up();
    }

    pub(crate) fn advance(&mut self, ms: Millis) {
        self.now += ms;
        self.apply(Input::Tick);
    }

    pub(crate) fn pause(&mut self, number: u64, paused: bool) {
        match paused {
            true => self.paused.insert(route(number)),
            false => self.paused.remove(&route(number)),
        };
        self.apply(Input::PausedRoutes(self.paused.clone()));
    }

    pub(crate) fn enable(&mut self, to: DestinationId, enabled: bool) {
        self.enabled.insert(to, enabled);
        self.apply(Input::Destination(
            to,
            Some(Box::new(rules(to, enabled, self.quota))),
        ));
    }
}
