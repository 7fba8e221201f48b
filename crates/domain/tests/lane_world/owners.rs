//! Owners come and go: crashes, handing over, and the end, at which nothing may be left.

use super::*;

impl World {
    pub(super) fn tell_when_caught_up(&mut self) {
        let given = self.messages[..self.taken_over_at]
            .iter()
            .all(|m| !m.queued || m.given);
        if given && !self.caught_up {
            self.caught_up = true;
            self.apply(Input::CaughtUp);
        }
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
    pub(super) fn renew(&mut self, clean: bool) {
        self.reads.clear();
        self.asked_here = self.asked.len();
        self.answers.clear();
        self.appended.clear();
        self.sends.clear();
        self.settled_origins.clear();
        self.told_paused.clear();
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
        for number in 0..ROUTES {
            self.pause(number, false);
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
