//! What receivers, the broker and the dispatcher's edge do: answers, confirmations, appends and reads, in any
//! order.

use super::*;

impl World {
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

    pub(super) fn take_effect(&mut self, settle: &Settle) {
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

    pub(super) fn confirm_append(&mut self, pick: usize) {
        if self.appended.is_empty() {
            return;
        }
        let (wanted, parked) = self.appended.remove(pick % self.appended.len());
        self.apply(Input::Appended {
            place: wanted.place,
            parked,
        });
    }

    pub(super) fn appends_under_way(&self) -> impl Iterator<Item = &WantedAppend> {
        self.appends
            .iter()
            .chain(self.appended.iter().map(|(wanted, _)| wanted))
    }

    pub(super) fn put(&mut self, wanted: &WantedAppend) -> u64 {
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

    pub(super) fn ask(&mut self, verb: Verb, arrival: Arrival) {
        let target = Target {
            delivery: arrival.delivery,
            destination: arrival.destination,
            lane: arrival.lane,
        };
        if verb == Verb::Retry {
            self.urged.insert(arrival.delivery);
        }
        let id = CommandId(self.asked.len() as u64);
        self.asked.push(Asked {
            verb,
            target,
            answer: None,
        });
        self.apply(Input::Command(Command { id, verb, target }));
    }
}
