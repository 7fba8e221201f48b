//! A broker, receivers and a dispatcher's edge as plain vectors, around a real engine: what the order
//! engine is checked against. Every promise is checked at the moment it could be broken.

mod parked_stream;

use std::collections::{HashMap, HashSet};

use hookrail_domain::{
    Millis,
    delivery::ErrorCode,
    destination::{OnDead, RetryPolicy},
    ids::{DeliveryId, DestinationId},
    lane::{
        Action, Arrival, Caller, Command, CommandAnswer, CommandId, DestinationRules, End, Input, LaneId,
        LaneKey, Limits, Origin, ParkedSubject, Parking, PartitionLanes, Place, Send, Settle, Takeover,
        Target, Verb,
    },
    retry::{AttemptResult, Progress},
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
    Tier(DestinationId, u8, u64, u32),
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
    settled_origins: HashSet<(DestinationId, LaneKey, Origin)>,
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
        };
        world.define_all();
        world
    }

    fn define_all(&mut self) {
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

    fn sent(&mut self, send: Send) {
        let index = self.index_at(send.place);
        self.check_turn(index);
        let message = &mut self.messages[index];
        let ordered = message.arrival.lane.is_some();
        assert!(
            !ordered || message.end.is_none(),
            "sent after its end: {message:?}"
        );
        assert!(self.enabled[&send.destination], "sent to a disabled destination");
        let lane = message.arrival.lane_id();
        let by_command = lane.is_none_or(|lane| self.touched.contains(&lane));
        let held = self
            .stream
            .due_at(message.arrival.sequence)
            .is_some_and(|(_, held)| held);
        assert!(
            by_command || !held,
            "sent although it waits for a person: {message:?}"
        );
        assert!(
            self.sends.iter().all(|other| other.place != send.place),
            "sent twice at once"
        );
        // What is unordered may lie in two places once a takeover was unclean, and be sent from both.
        assert!(
            !ordered || message.arrival.caller.is_none() || !message.answered,
            "sent again although its caller has an answer: {message:?}"
        );
        message.attempts += 1;
        self.sends.push(send);
    }

    /// Told only of who still waits for what did not end.
    fn check_in_vain(&self, place: Place) {
        let message = &self.messages[self.index_at(place)];
        let waits_until = message.arrival.caller.map(|caller| caller.waits_until);
        assert!(waits_until.is_some_and(|until| until > self.now), "{message:?}");
        assert!(
            message.end.is_none() || message.arrival.lane.is_none(),
            "{message:?}"
        );
    }

    /// In an ordered lane all that came before is settled, and what was settled is not sent again.
    fn check_turn(&self, index: usize) {
        let arrival = self.messages[index].arrival;
        let Some(lane) = arrival.lane else { return };
        for earlier in &self.messages[..index] {
            let same =
                (earlier.arrival.destination, earlier.arrival.lane) == (arrival.destination, arrival.lane);
            assert!(
                !same || earlier.end.is_some(),
                "{index} was sent before {earlier:?} was settled"
            );
        }
        // A lane that is forgotten knows nothing of what it settled.
        let remembered = self.limits.remembered_lanes >= self.messages.len();
        if let Some(origin) = arrival.origin.filter(|_| remembered) {
            assert!(
                !self
                    .settled_origins
                    .contains(&(arrival.destination, lane, origin)),
                "a stale copy was sent"
            );
        }
        let given_out = index < self.taken_over_at;
        assert!(
            !given_out || self.now >= self.not_before,
            "sent while the owner before may still be sending"
        );
    }

    fn settle_wanted(&mut self, settle: Settle) {
        let message = &self.messages[self.index_at(settle.place)];
        if settle.end == End::Moved {
            return self.settles.push(settle);
        }
        let ordered = message.arrival.lane.is_some();
        assert!(!ordered || message.end.is_none(), "settled twice: {message:?}");
        let parked = matches!(settle.place, Place::Parked(_));
        assert!(
            !ordered || !parked || !message.queued,
            "deleted before its ack was confirmed: {message:?}"
        );
        assert!(
            !matches!(settle.end, End::Dead(ErrorCode::Status)) || settle.progress.attempts > 0,
            "dead before one attempt"
        );
        self.settles.push(settle);
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
            origin: Some(Origin {
                partition: 1,
                sequence,
                index: 0,
            }),
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

    fn tell_when_caught_up(&mut self) {
        let given = self.messages[..self.taken_over_at]
            .iter()
            .all(|m| !m.queued || m.given);
        if given && !self.caught_up {
            self.caught_up = true;
            self.apply(Input::CaughtUp);
        }
    }

    /// The broker gives a message again that the engine holds.
    pub(crate) fn redeliver(&mut self, pick: usize) {
        let held: Vec<Arrival> = self
            .messages
            .iter()
            .filter(|m| m.queued && m.given)
            .map(|m| m.arrival)
            .collect();
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
        let has_caller = self.messages[index].arrival.caller.is_some();
        let answered = |status| AttemptResult::Answered {
            status,
            retry_after_ms: None,
        };
        let result = match reply {
            Reply::Accept => answered(200),
            Reply::Fail => answered(500),
            Reply::TimeOut if has_caller && pick.is_multiple_of(2) => {
                AttemptResult::Failed(ErrorCode::Connect)
            }
            Reply::TimeOut => AttemptResult::Failed(ErrorCode::Timeout),
            Reply::Refuse => answered(422),
            Reply::Gone => answered(410),
        };
        self.messages[index].failed = !result.is_success();
        self.messages[index].answered |= matches!(result, AttemptResult::Answered { .. });
        let dead = matches!(reply, Reply::Refuse) || send.number >= ATTEMPTS_MAX && !result.is_success();
        if dead && !has_caller && send.destination == destination(HOLDING) {
            self.held.extend(self.messages[index].arrival.lane_id());
        }
        self.apply(Input::AttemptFinished {
            attempt: send.attempt,
            result,
            jitter,
        });
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
        match settle.place {
            Place::Queue(_) => message.queued = false,
            Place::Parked(sequence) => self.stream.delete(sequence),
        }
        if settle.end == End::Moved {
            return;
        }
        message.end = Some(settle.end);
        let arrival = message.arrival;
        // What found no room was the last of its lane: those before it, of which it may be a copy, still wait.
        let no_room = settle.end == End::Dead(ErrorCode::OverQuota);
        if let (Some(lane), Some(origin), false) = (arrival.lane, arrival.origin, no_room) {
            self.settled_origins.insert((arrival.destination, lane, origin));
        }
    }

    /// An append takes effect, or is refused; where none is wanted, one is confirmed that took effect.
    pub(crate) fn append(&mut self, pick: usize, how: Append) {
        if self.appends.is_empty() {
            return self.confirm_append(pick);
        }
        let wanted = self.appends.remove(pick % self.appends.len());
        if matches!(how, Append::Refuse) {
            return self.apply(Input::AppendRefused(wanted.place));
        }
        let parked = self.put(&wanted);
        self.appended.push((wanted, parked));
        if matches!(how, Append::Confirm) {
            self.confirm_append(self.appended.len() - 1);
        }
    }

    fn confirm_append(&mut self, pick: usize) {
        if self.appended.is_empty() {
            return;
        }
        let (wanted, parked) = self.appended.remove(pick % self.appended.len());
        self.apply(Input::Appended {
            place: wanted.place,
            parked,
        });
    }

    fn appends_under_way(&self) -> impl Iterator<Item = &WantedAppend> {
        self.appends
            .iter()
            .chain(self.appended.iter().map(|(wanted, _)| wanted))
    }

    /// In an ordered lane, what is behind an append must not be parked while something before it
    /// lies un-acked in the queue alone; and one append of a lane is under way at a time.
    fn check_append(&self, place: Place, to: ParkedSubject) {
        let ParkedSubject::Lane(lane) = to else { return };
        assert!(
            self.appends_under_way().all(|other| other.to != to),
            "two appends of {lane:?} at once"
        );
        for earlier in &self.messages[..self.index_at(place)] {
            let same = earlier.arrival.lane_id() == Some(lane);
            let alone = earlier.queued && !self.stream.holds(earlier.arrival.sequence, to);
            assert!(!same || !alone, "parked before {earlier:?}");
        }
    }

    fn put(&mut self, wanted: &WantedAppend) -> u64 {
        let index = self.index_at(wanted.place);
        self.stream.append(
            index,
            self.messages[index].arrival,
            wanted.to,
            wanted.progress,
            wanted.held,
        )
    }

    /// A read is made, and its answer comes at once, or later, when it may be out of date.
    pub(crate) fn read(&mut self, pick: usize, later: bool) {
        if self.reads.is_empty() {
            if let Some(answer) = self.answers.pop() {
                self.apply(answer);
            }
            return;
        }
        let input = match self.reads.remove(pick % self.reads.len()) {
            WantedRead::Find(id, target) => Input::Found(id, self.stream.find(target)),
            WantedRead::Head(lane) => {
                let first = self
                    .stream
                    .messages(ParkedSubject::Lane(lane), 0, 1)
                    .first()
                    .copied();
                Input::HeadRead(lane, first.map(Box::new))
            }
            WantedRead::Tier(destination, tier, after, most) => {
                let subject = ParkedSubject::Tier(destination, tier);
                let messages = self.stream.messages(subject, after, most as usize);
                Input::TierRead {
                    destination,
                    tier,
                    messages,
                }
            }
        };
        if later {
            self.answers.push(input);
        } else {
            self.apply(input);
        }
    }

    pub(crate) fn advance(&mut self, ms: Millis) {
        self.now += ms;
        self.apply(Input::Tick);
    }

    pub(crate) fn enable(&mut self, to: DestinationId, enabled: bool) {
        self.enabled.insert(to, enabled);
        self.apply(Input::Destination(
            to,
            Some(Box::new(rules(to, enabled, self.quota))),
        ));
    }

    /// The owner dies; a new one takes over. Of what was under way, `effects` took effect unseen.
    pub(crate) fn crash(&mut self, effects: usize) {
        let settles = std::mem::take(&mut self.settles);
        for settle in settles.iter().take(effects) {
            self.take_effect(settle);
        }
        for wanted in std::mem::take(&mut self.appends).iter().take(effects) {
            self.put(wanted);
        }
        self.renew(false);
    }

    /// A new owner begins.
    fn renew(&mut self, clean: bool) {
        self.reads.clear();
        self.asked_here = self.asked.len();
        self.answers.clear();
        self.appended.clear();
        self.sends.clear();
        self.settled_origins.clear();
        self.taken_over_at = if clean { 0 } else { self.messages.len() };
        self.not_before = if clean { 0 } else { self.now + TAKEOVER_WAIT_MS };
        for message in &mut self.messages {
            (message.given, message.answered) = (false, false);
            // A parked one keeps its timer.
            message.failed &= self.stream.holds_any(message.arrival.sequence);
        }
        let takeover = Takeover {
            delivered: self.taken_over_at as u64,
            not_before: self.not_before,
        };
        self.engine = PartitionLanes::new(self.limits, self.parking, takeover, self.now);
        self.define_all();
        if self.parking == Parking::On {
            let found = self.stream.found();
            self.apply(Input::Parked(found));
        }
        self.caught_up = clean;
        self.tell_when_caught_up();
    }

    /// Nothing that could go out is kept waiting: the first unsettled delivery of each lane that was
    /// given, did not fail, and whose destination is enabled, is on its way.
    pub(crate) fn check_nothing_waits(&self) {
        let mut seen = HashSet::new();
        for (index, message) in self.messages.iter().enumerate() {
            let arrival = message.arrival;
            let first = arrival
                .lane
                .is_none_or(|lane| message.end.is_some() || seen.insert((arrival.destination, lane)));
            let taken_over =
                arrival.lane.is_some() && index < self.taken_over_at && self.now < self.not_before;
            let known = message.given || self.stream.holds_any(arrival.sequence);
            let waits = |lane: LaneId| self.touched.contains(&lane) || self.held.contains(&lane);
            let touched = arrival.lane_id().is_none_or(waits);
            let free = !touched
                && first
                && self.caught_up
                && known
                && message.end.is_none()
                && !message.failed
                && !taken_over;
            if free && self.enabled[&arrival.destination] {
                let sending = self.sends.iter().any(|send| self.index_at(send.place) == index);
                let settling = self
                    .settles
                    .iter()
                    .any(|settle| self.index_at(settle.place) == index);
                let parked = self.stream.holds_any(arrival.sequence);
                let appending = self
                    .appends_under_way()
                    .any(|append| self.index_at(append.place) == index);
                let reads = self.reads.iter().any(|read| match read {
                    WantedRead::Head(lane) => Some(*lane) == arrival.lane_id(),
                    WantedRead::Tier(..) | WantedRead::Find(..) => false,
                });
                let answers = self.answers.iter().any(
                    |answer| matches!(answer, Input::HeadRead(lane, _) if Some(*lane) == arrival.lane_id()),
                );
                // What is settled out of turn may hold up an append.
                let leaves = self.settles.iter().any(|settle| {
                    self.messages[self.index_at(settle.place)].arrival.lane_id() == arrival.lane_id()
                });
                let reading = reads || answers || arrival.lane.is_some() && leaves;
                let waits_in_tier = arrival.lane.is_none() && (parked || appending);
                assert!(
                    sending || settling || reading || waits_in_tier || appending && arrival.lane.is_some(),
                    "{index} waits for nothing: {message:?}"
                );
            }
        }
    }

    /// A person asks something of any message, or of the head of its lane.
    pub(crate) fn command(&mut self, verb: Verb, pick: usize, of_head: bool) {
        let index = pick % self.messages.len().max(1);
        let Some(message) = self.messages.get(index) else {
            return;
        };
        let lane = message.arrival.lane_id();
        let head = self
            .messages
            .iter()
            .position(|m| m.end.is_none() && m.arrival.lane_id() == lane);
        let index = head.filter(|_| of_head && lane.is_some()).unwrap_or(index);
        if verb == Verb::Hold {
            self.touched.extend(lane);
        }
        self.ask(verb, self.messages[index].arrival);
    }

    fn ask(&mut self, verb: Verb, arrival: Arrival) {
        let target = Target {
            delivery: arrival.delivery,
            destination: arrival.destination,
            lane: arrival.lane,
        };
        let id = CommandId(self.asked.len() as u64);
        self.asked.push(Asked {
            verb,
            target,
            answer: None,
        });
        self.apply(Input::Command(Command { id, verb, target }));
    }

    /// An answer is given once, and only when its effect survives a takeover.
    fn check_answer(&mut self, command: CommandId, answer: CommandAnswer) {
        let asked = &mut self.asked[command.0 as usize];
        assert!(asked.answer.is_none(), "answered twice: {asked:?}");
        asked.answer = Some(answer);
        let Asked { verb, target, .. } = *asked;
        let of_target: Vec<usize> = (0..self.messages.len())
            .filter(|index| self.messages[*index].arrival.delivery == target.delivery)
            .collect();
        match (verb, answer) {
            (Verb::Cancel, CommandAnswer::Done) => {
                let ended = |index: &usize| matches!(self.messages[*index].end, Some(End::Cancelled(_)));
                assert!(
                    of_target.iter().any(ended),
                    "cancelled is not: {asked:?}",
                    asked = self.asked[command.0 as usize]
                );
            }
            (Verb::Skip, CommandAnswer::Done) => {
                let ended = |index: &usize| matches!(self.messages[*index].end, Some(End::Dead(_)));
                assert!(of_target.iter().any(ended), "skipped is not dead");
            }
            (Verb::Retry, CommandAnswer::Done) => {
                // One that a person held meanwhile waits for the next word.
                let held = target.lane_id().is_some_and(|lane| self.touched.contains(&lane));
                let may = held || of_target.iter().any(|index| self.is_due_after_takeover(*index));
                assert!(
                    may,
                    "a retry that a takeover forgets: {:?}, parked {:?}",
                    of_target
                        .iter()
                        .map(|index| &self.messages[*index])
                        .collect::<Vec<_>>(),
                    self.stream.found()
                );
            }
            _ => {}
        }
    }

    /// Whether a new owner would send the message as soon as its turn comes.
    fn is_due_after_takeover(&self, index: usize) -> bool {
        let message = &self.messages[index];
        let in_flight = self.sends.iter().any(|send| self.index_at(send.place) == index);
        let settling = self
            .settles
            .iter()
            .any(|settle| settle.end != End::Moved && self.index_at(settle.place) == index);
        let due = self.stream.due_at(message.arrival.sequence);
        // An unordered one is sent from the queue too.
        let queued = message.queued && message.arrival.lane.is_none();
        in_flight
            || settling
            || queued
            || message.end.is_some()
            || due.is_none_or(|(at, held)| at <= self.now && !held)
    }

    /// The owner stops cleanly: what is in flight ends and is settled, then another takes over.
    pub(crate) fn hand_over(&mut self) {
        self.apply(Input::Drain);
        while !(self.sends.is_empty()
            && self.settles.is_empty()
            && self.appends.is_empty()
            && self.appended.is_empty())
        {
            self.reply(0, Reply::Fail, 0.0);
            self.append(0, Append::Confirm);
            self.confirm(0);
        }
        assert!(self.engine.is_drained());
        let clean = self.engine.is_clean(self.now);
        self.renew(clean);
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
            for lane in self.touched.union(&self.held).copied().collect::<Vec<_>>() {
                let heads = self.messages.iter();
                let head = heads
                    .map(|m| (m.arrival, m.end))
                    .find(|(arrival, end)| end.is_none() && arrival.lane_id() == Some(lane));
                if let Some((arrival, _)) = head {
                    self.ask(Verb::Retry, arrival);
                }
            }
            while !(self.sends.is_empty()
                && self.settles.is_empty()
                && self.appends.is_empty()
                && self.appended.is_empty()
                && self.reads.is_empty()
                && self.answers.is_empty())
            {
                self.append(0, Append::Confirm);
                self.read(0, false);
                self.reply(0, Reply::Accept, 0.0);
                self.confirm(0);
            }
            let idle = self.engine.held() == 0 && self.stream.is_empty();
            if idle && self.messages.iter().all(|m| m.end.is_some()) {
                break;
            }
            // A lane that was held goes on by the command alone.
            let next = self
                .engine
                .next_wake()
                .or((!self.touched.is_empty() || !self.held.is_empty()).then_some(self.now));
            let next = next.unwrap_or_else(|| {
                panic!(
                    "what is left waits for nothing: {:?}, parked {:?} {:?}",
                    self.messages
                        .iter()
                        .filter(|m| m.end.is_none())
                        .collect::<Vec<_>>(),
                    self.stream.found(),
                    self.engine
                )
            });
            self.advance((next - self.now).max(0));
        }
        for message in &self.messages {
            assert!(message.end.is_some(), "lost: {message:?}");
        }
        for asked in &self.asked[self.asked_here..] {
            assert!(asked.answer.is_some(), "never answered: {asked:?}");
        }
        assert!(self.stream.is_empty(), "something is left in the parked stream");
        assert_eq!(
            (
                self.engine.held(),
                self.engine.in_flight(),
                self.engine.settling()
            ),
            (0, 0, 0)
        );
    }
}
